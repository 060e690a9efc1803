//! What a check found, and how it looks.

use std::io::{self, Write as _};

use clap::builder::styling::Style;

use crate::arguments::Level;
use crate::output::{self, BAD, GOOD, HEADING, WARNING, count, styled};

/// Something that is wrong, or may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) level: Level,
    /// By which it can be searched for, where it has one.
    pub(crate) id: Option<&'static str>,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Finding {
    pub(crate) fn error(message: impl Into<String>) -> Self {
        Self {
            level: Level::Error,
            id: None,
            message: message.into(),
            hint: None,
        }
    }

    pub(crate) fn warning(message: impl Into<String>) -> Self {
        Self {
            level: Level::Warning,
            ..Self::error(message)
        }
    }

    pub(crate) fn with_id(self, id: &'static str) -> Self {
        Self {
            id: Some(id),
            ..self
        }
    }

    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }
}

/// Steps are printed as they are taken, findings at the end.
pub(crate) struct Report {
    out: anstream::AutoStream<io::Stdout>,
    findings: Vec<Finding>,
}

/// The columns of a step's name.
const STEP_WIDTH: usize = 10;
/// The columns of a step's state, the longest of which is `FAILED`.
const STATE_WIDTH: usize = 6;

impl Report {
    pub(crate) fn new() -> Self {
        Self {
            out: anstream::stdout(),
            findings: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    pub(crate) fn ok(&mut self, step: &str, detail: &str) -> io::Result<()> {
        self.step(step, GOOD, "ok", detail)
    }

    pub(crate) fn failed(&mut self, step: &str, detail: &str) -> io::Result<()> {
        self.step(step, BAD, "FAILED", detail)
    }

    /// A step, its state in a style, and what there is to say of it.
    pub(crate) fn step(
        &mut self,
        step: &str,
        style: Style,
        state: &str,
        detail: &str,
    ) -> io::Result<()> {
        write!(self.out, "{step:<STEP_WIDTH$}  {}", styled(style, state))?;
        if detail.is_empty() {
            return writeln!(self.out);
        }
        writeln!(
            self.out,
            "{:width$}  {detail}",
            "",
            width = STATE_WIDTH.saturating_sub(state.len())
        )
    }

    /// Prints the findings, and gives the worst level among them.
    pub(crate) fn finish(mut self) -> io::Result<Option<Level>> {
        let errors = self.section(Level::Error, &styled(BAD, "ERRORS"))?;
        let warnings = self.section(Level::Warning, &styled(WARNING, "WARNINGS"))?;
        writeln!(self.out)?;
        let summary = match (errors, warnings) {
            (0, 0) => styled(GOOD, "No problems found."),
            (0, _) => format!("{}.", count(warnings, "warning")),
            (_, 0) => format!("{}.", count(errors, "error")),
            _ => format!(
                "{}, {}.",
                count(errors, "error"),
                count(warnings, "warning")
            ),
        };
        writeln!(self.out, "{summary}")?;
        Ok(self.findings.iter().map(|finding| finding.level).max())
    }

    fn section(&mut self, level: Level, heading: &str) -> io::Result<u64> {
        let mut number = 0;
        for finding in self
            .findings
            .iter()
            .filter(|finding| finding.level == level)
        {
            if number == 0 {
                writeln!(self.out, "\n{heading}")?;
            }
            number += 1;
            let id = finding
                .id
                .map_or_else(String::new, |id| format!("{id:<14}  "));
            let indent = 2 + id.len();
            writeln!(
                self.out,
                "  {}{}",
                styled(HEADING, id),
                output::paragraph(&finding.message, indent)
            )?;
            if let Some(hint) = &finding.hint {
                let hint = output::paragraph(&format!("Hint: {hint}"), indent);
                writeln!(self.out, "{:indent$}{hint}", "")?;
            }
        }
        Ok(number)
    }
}
