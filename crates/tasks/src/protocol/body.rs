use indexmap::IndexMap;
use quintette_core::json::{
    JsonError, RawJson, parse_array, parse_object, write_array, write_object,
};

use crate::signature::Signature;

/// The arguments of a task, and what comes after it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Body {
    /// Positional arguments.
    pub args: Vec<RawJson>,
    /// Keyword arguments.
    pub kwargs: IndexMap<Box<str>, RawJson>,
    /// What comes after the task.
    pub embed: Embed,
}

/// What a task's message says of what comes after it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Embed {
    /// Called with the result.
    pub callbacks: Vec<Signature>,
    /// Called with the failure.
    pub errbacks: Vec<Signature>,
    /// The rest of a chain, in reverse: the last one comes next.
    pub chain: Vec<Signature>,
    /// The body of the chord that the task is part of.
    pub chord: Option<Box<Signature>>,
}

impl Body {
    /// Reads a body's JSON: `[args, kwargs, embed]`.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(body: &RawJson) -> Result<Self, InvalidBody> {
        let parts = parse_array(body.as_str().as_bytes())?;
        let [args, kwargs, embed] = parts.as_slice() else {
            return Err(InvalidBody::Shape);
        };
        Ok(Self {
            args: parse_array(args.as_str().as_bytes())?,
            kwargs: parse_object(kwargs.as_str().as_bytes())?,
            embed: Embed::parse(embed)?,
        })
    }

    /// The body's JSON.
    ///
    /// # Errors
    ///
    /// Where a signature is nested too deeply to be read again.
    pub fn to_json(&self) -> Result<RawJson, InvalidBody> {
        let args = write_array(self.args.iter());
        let kwargs = write_object(self.kwargs.iter().map(|(name, value)| (&**name, value)));
        let embed = self.embed.to_text()?;
        Ok(RawJson::parse(&format!("[{args},{kwargs},{embed}]"))?)
    }
}

impl Embed {
    pub(super) fn parse(json: &RawJson) -> Result<Self, InvalidBody> {
        if json.as_str() == "null" {
            return Ok(Self::default());
        }
        Ok(json.deserialize::<Written>()?.into())
    }

    /// As text, and not by `serde_json::Value`, which nests less deeply than what may have come.
    fn to_text(&self) -> Result<String, InvalidBody> {
        let list = |signatures: &[Signature]| -> Result<String, InvalidBody> {
            if signatures.is_empty() {
                return Ok("null".to_owned());
            }
            let written = signatures.iter().map(Signature::to_json);
            Ok(write_array(&written.collect::<Result<Vec<_>, _>>()?))
        };
        let (callbacks, errbacks) = (list(&self.callbacks)?, list(&self.errbacks)?);
        let chain = list(&self.chain)?;
        let chord = match &self.chord {
            Some(chord) => chord.to_json()?.to_string(),
            None => "null".to_owned(),
        };
        Ok(format!(
            r#"{{"callbacks":{callbacks},"errbacks":{errbacks},"chain":{chain},"chord":{chord}}}"#
        ))
    }
}

/// An embed as it is written: everything may be null or absent.
#[derive(serde::Deserialize)]
struct Written {
    #[serde(default)]
    callbacks: Option<Vec<Signature>>,
    #[serde(default)]
    errbacks: Option<Vec<Signature>>,
    #[serde(default)]
    chain: Option<Vec<Signature>>,
    #[serde(default)]
    chord: Option<Box<Signature>>,
}

impl From<Written> for Embed {
    fn from(written: Written) -> Self {
        Self {
            callbacks: written.callbacks.unwrap_or_default(),
            errbacks: written.errbacks.unwrap_or_default(),
            chain: written.chain.unwrap_or_default(),
            chord: written.chord,
        }
    }
}

/// A body that is not `[args, kwargs, embed]`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidBody {
    /// It is JSON of another shape.
    #[error("the body is not a list of arguments, keyword arguments and what comes after")]
    Shape,
    /// It, or a part of it, is no JSON of the expected kind.
    #[error("the body is not what a task's is: {0}")]
    Json(#[from] JsonError),
    /// A signature in it is none.
    #[error("what comes after the task cannot be read: {0}")]
    Embed(#[from] serde_json::Error),
}
