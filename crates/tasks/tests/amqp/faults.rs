use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quintette_tasks::brokers::{AmqpBroker, Broker, BrokerErrorKind, Destination};
use quintette_tasks::{App, SendError, Signature, TaskSettings};
use quintette_testkit::servers::{Proxy, RabbitMq};

use crate::support::{
    LONG, broker, consume, is_silent, message, number, numbers, queue, send, shared, tags, take,
    waiting,
};

fn through(proxy: &Proxy) -> AmqpBroker {
    // Heartbeats of a second, so that the test need not wait for long.
    AmqpBroker::new(&format!(
        "amqp://guest:guest@{}//?heartbeat=1",
        proxy.address()
    ))
    .unwrap()
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_error_that_names_it_and_not_the_password() {
    let broker = AmqpBroker::new("amqp://guest:hidden@127.0.0.1:1//").unwrap();
    let to = Destination::queue(queue("nowhere"));
    let error = broker.publish(&message(0), &to).await.unwrap_err();
    assert_eq!(error.kind(), BrokerErrorKind::Unavailable);
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
    assert!(!format!("{error:?} {broker:?}").contains("hidden"));
}

#[tokio::test]
async fn a_wrong_password_is_refused() {
    let url = format!("amqp://guest:hidden@{}//", shared().address());
    let broker = AmqpBroker::new(&url).unwrap();
    let error = broker.waiting("any").await.unwrap_err();
    assert_eq!(error.kind(), BrokerErrorKind::Refused, "{error:?}");
    assert!(!format!("{error:?}").contains("hidden"));
}

#[tokio::test]
async fn headers_that_fit_into_no_frame_are_refused_and_the_connection_goes_on() {
    let broker = broker();
    let queue = queue("large");
    let to = Destination::queue(queue.clone());
    let mut large = message(0);
    large
        .headers
        .insert("large".to_owned(), "x".repeat(200_000).into());
    // What others are sending meanwhile arrives as if nothing were.
    let (refused, ()) = tokio::join!(broker.publish(&large, &to), send(&broker, &queue, 0..1_000));
    let refused = refused.unwrap_err();
    assert_eq!(refused.kind(), BrokerErrorKind::Refused);
    assert!(refused.to_string().contains("headers take"), "{refused}");
    // To the byte: what is a byte shorter than it may be is taken, and what is a byte longer would have cost the connection.
    let fits = |length: usize| {
        let mut message = message(0);
        message
            .headers
            .insert("large".to_owned(), "x".repeat(length).into());
        message
    };
    let (mut taken, mut not) = (1, 200_000);
    while not - taken > 1 {
        let middle = usize::midpoint(taken, not);
        match broker.publish(&fits(middle), &to).await {
            Ok(()) => taken = middle,
            Err(error) => {
                assert!(error.to_string().contains("headers take"), "{error}");
                not = middle;
            }
        }
    }
    assert!((130_000..131_072).contains(&taken), "{taken}");
}

#[tokio::test]
async fn the_next_server_is_used_where_one_does_not_answer() {
    let url = format!("amqp://guest:guest@127.0.0.1:1//;{}", shared().url());
    let broker = AmqpBroker::new(&url).unwrap();
    let queue = queue("failover");
    send(&broker, &queue, 0..3).await;
    waiting(&broker, &queue, 3).await;
}

#[tokio::test]
async fn a_connection_that_is_cut_ends_the_consumer_and_the_next_has_queues_and_prefetch() {
    let proxy = Proxy::before(shared().address()).unwrap();
    let through = through(&proxy);
    let queue = queue("cut");
    send(&broker(), &queue, 0..10).await;
    let mut consumer = consume(&through, &queue, 3).await;
    let taken = take(&mut consumer, 3).await;
    let channel = consumer.channel();
    channel.ack(&tags(&taken[..1])).await.unwrap();
    take(&mut consumer, 1).await;
    proxy.cut();
    let end = tokio::time::timeout(LONG, consumer.next())
        .await
        .expect("it ends");
    assert_eq!(end.unwrap_err().kind(), BrokerErrorKind::Unavailable);
    // Tags are worth nothing any more.
    let error = channel.ack(&tags(&taken[1..])).await.unwrap_err();
    assert_eq!(error.kind(), BrokerErrorKind::Unavailable);
    proxy.heal();
    let mut consumer = consume(&through, &queue, 3).await;
    let again = take(&mut consumer, 3).await;
    assert_eq!(numbers(&again), [1, 2, 3]);
    assert!(is_silent(&mut consumer).await);
}

#[tokio::test]
async fn a_connection_that_hangs_is_noticed_by_those_who_wait() {
    let proxy = Proxy::before(shared().address()).unwrap();
    let through = through(&proxy);
    let queue = queue("hung");
    send(&through, &queue, 0..2).await;
    let mut consumer = consume(&through, &queue, 1).await;
    let taken = take(&mut consumer, 1).await;
    proxy.hang();
    let begun = Instant::now();
    let channel = consumer.channel();
    let tags = tags(&taken);
    let to = Destination::queue(queue.clone());
    let (next, acked, message) = (consumer.next(), channel.ack(&tags), message(9));
    let published = through.publish(&message, &to);
    let (next, acked, published) = tokio::join!(next, acked, published);
    assert_eq!(next.unwrap_err().kind(), BrokerErrorKind::Unavailable);
    assert_eq!(acked.unwrap_err().kind(), BrokerErrorKind::Unavailable);
    assert_eq!(published.unwrap_err().kind(), BrokerErrorKind::Unavailable);
    assert!(
        begun.elapsed() < Duration::from_secs(40),
        "{:?}",
        begun.elapsed()
    );
    proxy.heal();
    send(&through, &queue, 3..4).await;
}

#[tokio::test]
async fn a_server_that_hangs_is_no_server_until_it_answers() {
    let proxy = Proxy::before(shared().address()).unwrap();
    let through = through(&proxy);
    proxy.hang();
    let begun = Instant::now();
    // Many at once share one attempt.
    let asked = (0..20).map(|_| through.waiting("any"));
    for answer in futures_util::future::join_all(asked).await {
        assert_eq!(answer.unwrap_err().kind(), BrokerErrorKind::Unavailable);
    }
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
    proxy.heal();
    assert_eq!(through.waiting("any").await.unwrap(), 0);
}

#[tokio::test]
async fn a_broker_that_is_out_of_memory_still_serves_consumers_and_publishers_are_told() {
    let rabbitmq = RabbitMq::start_with("vm_memory_high_watermark.absolute = 1MB").unwrap();
    let broker = AmqpBroker::new(&rabbitmq.url()).unwrap();
    let queue = queue("blocked");
    broker.declare(&queue).await.unwrap();
    let begun = Instant::now();
    let app = App::with(TaskSettings::default(), Arc::new(broker.clone()), None);
    let call = Signature::new("any").queue(queue.name.as_str());
    let SendError::Broker(error) = app.send(&call).await.unwrap_err() else {
        panic!("it is the broker that takes nothing");
    };
    assert_eq!(error.kind(), BrokerErrorKind::Unavailable);
    assert!(error.to_string().contains("blocked publishers"), "{error}");
    // Waited for once, whatever the policy of retries.
    assert!(begun.elapsed() < Duration::from_secs(55));
    assert!(is_silent(&mut consume(&broker, &queue, 1).await).await);
}

#[tokio::test]
async fn a_message_whose_confirmation_is_lost_is_sent_again_where_the_call_says_so() {
    let proxy = Proxy::before(shared().address()).unwrap();
    let through = through(&proxy);
    let queue = queue("unconfirmed");
    send(&through, &queue, 0..1).await;
    let app = App::with(TaskSettings::default(), Arc::new(through), None);
    let call = |text: &str| Signature::new(text).queue(queue.name.as_str());

    proxy.cut_before_answer_to("sent-once");
    let error = app.send(&call("sent-once").without_retry()).await;
    let SendError::Broker(error) = error.unwrap_err() else {
        panic!("it is the broker that did not answer");
    };
    assert_eq!(error.kind(), BrokerErrorKind::Unavailable);
    waiting(&broker(), &queue, 2).await;

    proxy.cut_before_answer_to("sent-again");
    app.send(&call("sent-again")).await.unwrap();
    assert_eq!(proxy.answers_cut(), 2);
    // The first and the second time: at least once.
    waiting(&broker(), &queue, 4).await;
}

/// What publishers and consumers do while a broker is killed and started again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_message_is_lost_when_the_broker_is_killed_and_none_acknowledged_comes_again() {
    const COUNT: u64 = 4_000;
    let rabbitmq = Arc::new(RabbitMq::start().unwrap());
    let broker = AmqpBroker::new(&rabbitmq.url()).unwrap();
    let queue = queue("killed");

    let publishing = tokio::spawn({
        let (broker, to) = (broker.clone(), Destination::queue(queue.clone()));
        async move {
            for first in (0..COUNT).step_by(100) {
                let sent = (first..first + 100).map(|number| insist(&broker, &to, number));
                futures_util::future::join_all(sent).await;
            }
        }
    });
    let consuming = tokio::spawn({
        let (broker, queue) = (broker.clone(), queue.clone());
        async move {
            let mut done = HashSet::new();
            while done.len() < usize::try_from(COUNT).unwrap() {
                let Ok(mut consumer) = broker
                    .consume(
                        std::slice::from_ref(&queue),
                        quintette_tasks::brokers::ConsumeOptions {
                            prefetch: 50,
                            no_ack: false,
                        },
                    )
                    .await
                else {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                };
                let channel = consumer.channel();
                while done.len() < usize::try_from(COUNT).unwrap() {
                    let Ok(batch) = consumer.next().await else {
                        break;
                    };
                    assert!(batch.len() <= 50, "more than the prefetch");
                    if channel.ack(&tags(&batch)).await.is_err() {
                        break;
                    }
                    done.extend(batch.iter().map(number));
                }
            }
            done
        }
    });
    tokio::time::sleep(Duration::from_millis(700)).await;
    let server = Arc::clone(&rabbitmq);
    tokio::task::spawn_blocking(move || {
        server.kill();
        server.restart().unwrap();
    })
    .await
    .unwrap();
    publishing.await.unwrap();
    let done = tokio::time::timeout(LONG, consuming)
        .await
        .expect("all come")
        .unwrap();
    assert_eq!(done.len(), usize::try_from(COUNT).unwrap());

    // While the broker lives, what was acknowledged does not come again, whoever goes.
    broker.purge(&queue.name).await.unwrap();
    send(&broker, &queue, 0..500).await;
    let mut seen = HashSet::new();
    while seen.len() < 500 {
        let mut consumer = consume(&broker, &queue, 100).await;
        let batch = consumer.next().await.unwrap();
        consumer.channel().ack(&tags(&batch)).await.unwrap();
        let new = batch
            .iter()
            .map(number)
            .filter(|number| seen.insert(*number));
        assert_eq!(new.count(), batch.len());
    }
}

async fn insist(broker: &AmqpBroker, to: &Destination, number: u64) {
    let begun = Instant::now();
    while let Err(error) = broker.publish(&message(number), to).await {
        assert_eq!(error.kind(), BrokerErrorKind::Unavailable, "{error}");
        assert!(begun.elapsed() < LONG, "{error}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
