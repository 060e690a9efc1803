//! What stands in the brackets of `#[shared_task(…)]`.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Expr, ExprLit, Ident, Lit, LitStr, Result, Token};

/// The options of a task.
pub(crate) struct Options {
    pub(crate) name: LitStr,
    pub(crate) bind: Option<Span>,
    /// Calls on `Task::new(…)`, such as `.max_retries(5)`.
    pub(crate) calls: TokenStream,
}

const KNOWN: &str = "name, bind, acks_late, ignore_result, track_started, max_retries, default_retry_delay, autoretry, \
                     retry_backoff, retry_backoff_max, retry_jitter, rate_limit, time_limit, soft_time_limit, queue, priority";

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let options = Punctuated::<Given, Token![,]>::parse_terminated(input)?;
        let mut name = None;
        let mut bind = None;
        let mut calls = TokenStream::new();
        let mut seen: Vec<String> = Vec::new();
        for option in options {
            let key = option.key.to_string();
            if seen.contains(&key) {
                return Err(option.wrong("is given twice"));
            }
            match key.as_str() {
                "name" => name = Some(option.text()?.clone()),
                "bind" => {
                    option.flag()?;
                    bind = Some(option.key.span());
                }
                _ => calls.extend(option.call()?),
            }
            seen.push(key);
        }
        let name = name.ok_or_else(|| {
            Error::new(
                Span::call_site(),
                "a task needs a name, by which Python calls it too: #[shared_task(name = \"shop.add\")]",
            )
        })?;
        Ok(Self { name, bind, calls })
    }
}

/// `key`, or `key = value`.
struct Given {
    key: Ident,
    value: Option<Expr>,
}

impl Parse for Given {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let key = input.parse()?;
        let value = match input.parse::<Option<Token![=]>>()? {
            Some(_) => Some(input.parse()?),
            None => None,
        };
        Ok(Self { key, value })
    }
}

impl Given {
    fn call(&self) -> Result<TokenStream> {
        let key = &self.key;
        match key.to_string().as_str() {
            "acks_late" | "ignore_result" | "track_started" | "autoretry" => {
                self.flag()?;
                Ok(quote!(.#key()))
            }
            "retry_jitter" => match self.literal() {
                Some(Lit::Bool(jitter)) if !jitter.value => Ok(quote!(.without_jitter())),
                Some(Lit::Bool(_)) => Ok(TokenStream::new()),
                _ => Err(self.wrong("is true, the default, or false")),
            },
            "max_retries" if self.is_none() => Ok(quote!(.retries_for_ever())),
            "max_retries" | "priority" => match self.literal() {
                Some(Lit::Int(number)) => Ok(quote!(.#key(#number))),
                _ => Err(self.wrong("is a number")),
            },
            "rate_limit" | "queue" => {
                let text = self.text()?;
                Ok(quote!(.#key(#text)))
            }
            "default_retry_delay"
            | "retry_backoff"
            | "retry_backoff_max"
            | "time_limit"
            | "soft_time_limit" => {
                let milliseconds = self.milliseconds()?;
                Ok(quote!(.#key(::core::time::Duration::from_millis(#milliseconds))))
            }
            _ => Err(self.wrong(&format!("is no option of a task; there are {KNOWN}"))),
        }
    }

    fn wrong(&self, problem: &str) -> Error {
        Error::new(self.key.span(), format!("`{}` {problem}", self.key))
    }

    fn literal(&self) -> Option<&Lit> {
        match &self.value {
            Some(Expr::Lit(ExprLit { lit, .. })) => Some(lit),
            _ => None,
        }
    }

    fn is_none(&self) -> bool {
        matches!(&self.value, Some(Expr::Path(path)) if path.path.is_ident("None"))
    }

    fn text(&self) -> Result<&LitStr> {
        match self.literal() {
            Some(Lit::Str(text)) if !text.value().is_empty() => Ok(text),
            _ => Err(self.wrong("is a text in quotes")),
        }
    }

    /// Either by itself or `= true`.
    fn flag(&self) -> Result<()> {
        match (&self.value, self.literal()) {
            (None, _) => Ok(()),
            (_, Some(Lit::Bool(value))) if value.value => Ok(()),
            _ => Err(self.wrong("is a flag: write it or leave it out")),
        }
    }

    /// Of seconds, as Celery has them; a backoff of `true` is one second there.
    fn milliseconds(&self) -> Result<u64> {
        let seconds = || self.wrong("is a number of seconds, such as 30 or 0.5");
        match self.literal() {
            Some(Lit::Int(number)) => number
                .base10_parse::<u64>()?
                .checked_mul(1000)
                .ok_or_else(seconds),
            Some(Lit::Float(number)) => {
                let milliseconds = number.base10_parse::<f64>()? * 1000.0;
                if milliseconds > 1e15 {
                    return Err(seconds());
                }
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a literal has no sign, and this one is not too large"
                )]
                Ok(milliseconds.round() as u64)
            }
            Some(Lit::Bool(backoff)) if backoff.value && self.key == "retry_backoff" => Ok(1000),
            _ => Err(seconds()),
        }
    }
}
