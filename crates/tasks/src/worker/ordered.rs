//! What a worker is told to do.

use tracing::error;

use super::dispatch::{Dispatcher, Phase};
use super::handle::Command;
use super::take::Order;

impl Dispatcher {
    pub(super) fn obey(&mut self, command: Command) {
        match command {
            Command::Shutdown(how) => self.end(how),
            Command::AddQueue(queue, reply) => {
                let name = queue.name.clone();
                let known = queue.clone();
                self.shared.state().change_queues(|queues| {
                    queues.retain(|queue| queue.name != name);
                    queues.push(*known);
                });
                let _ = self.orders.send(Order::AddQueue(queue, reply));
            }
            Command::CancelQueue(name, reply) => {
                self.shared
                    .state()
                    .change_queues(|queues| queues.retain(|queue| queue.name != name));
                let _ = self.orders.send(Order::CancelQueue(name, reply));
            }
            Command::Resize => self.set_prefetch(),
            Command::Rate(task) => self.set_limit(&task),
            Command::Hold(request, eta) => {
                if self.phase == Phase::Running {
                    self.hold(request, eta);
                    self.set_prefetch();
                } else {
                    self.give_back(vec![request]);
                }
            }
        }
    }

    pub(super) fn set_limits(&mut self) {
        for task in self.shared.handle.tasks.clone().names() {
            self.set_limit(task);
        }
    }

    fn set_limit(&mut self, task: &str) {
        let settings = self.shared.app().settings();
        let rate = self.shared.state().rate(task).or_else(|| {
            let own = self.shared.handle.tasks.options(task)?.rate_limit;
            let text = own.or(settings.task_default_rate_limit.as_deref())?;
            text.parse()
                .inspect_err(|error| error!("{task}: {error}; it has no limit"))
                .ok()
        });
        let freed = self.limits.set(task, rate.and_then(super::Rate::interval));
        self.ready.extend(freed);
    }

    /// So many for each that runs, and one more for each that waits for its time.
    pub(super) fn set_prefetch(&self) {
        let state = self.shared.state();
        let multiplier = self.shared.app().settings().worker_prefetch_multiplier as usize;
        let wanted = match state.concurrency().saturating_mul(multiplier) {
            0 => 0,
            base => base.saturating_add(self.agenda.len()),
        };
        // AMQP's limit is 16 bits: beyond it, there is none.
        let wanted = u16::try_from(wanted).map_or(0, u32::from);
        state.prefetch_channel().send_if_modified(|prefetch| {
            let changed = *prefetch != wanted;
            *prefetch = wanted;
            changed
        });
    }
}
