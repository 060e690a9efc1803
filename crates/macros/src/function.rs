//! The function below `#[shared_task]`.

use syn::spanned::Spanned as _;
use syn::{Error, FnArg, Ident, ItemFn, Pat, PatType, Result, ReturnType, Type};

/// As many elements as a tuple may have to be written and read.
const MAX_PARAMETERS: usize = 16;

/// A function that can be a task.
pub(crate) struct Function {
    pub(crate) item: ItemFn,
    pub(crate) context: Option<Context>,
    pub(crate) names: Vec<Ident>,
    pub(crate) types: Vec<Type>,
    pub(crate) returns: Type,
}

/// How the first parameter takes the context.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Context {
    Borrowed,
    Owned,
}

impl Function {
    pub(crate) fn new(item: ItemFn) -> Result<Self> {
        let signature = &item.sig;
        if let Some(generic) = signature.generics.params.first() {
            return Err(Error::new(
                generic.span(),
                "a task has no type parameters: what it is called with comes from elsewhere",
            ));
        }
        if let Some(keyword) = &signature.unsafety {
            return Err(Error::new(
                keyword.span(),
                "a task is not unsafe: anybody may call it",
            ));
        }
        let ReturnType::Type(_, returns) = &signature.output else {
            return Err(Error::new(
                signature.ident.span(),
                "a task returns a Result: write `-> Result<(), TaskError>`",
            ));
        };
        let returns = (**returns).clone();
        let mut parameters = signature.inputs.iter().peekable();
        let context = parameters
            .next_if(|first| is_context(first).is_some())
            .and_then(is_context);
        let (mut names, mut types) = (Vec::new(), Vec::new());
        for parameter in parameters {
            let (name, kind) = typed(parameter, &signature.ident)?;
            names.push(name);
            types.push(kind);
        }
        if let Some(name) = names.get(MAX_PARAMETERS) {
            return Err(Error::new(
                name.span(),
                format!("a task has at most {MAX_PARAMETERS} parameters: put some into a struct"),
            ));
        }
        Ok(Self {
            item,
            context,
            names,
            types,
            returns,
        })
    }

    /// The names as `Task::new` takes them: with a `?` where a parameter may be absent.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = String> {
        self.names.iter().zip(&self.types).map(|(name, kind)| {
            let name = name.to_string();
            let name = name.trim_start_matches("r#");
            let mark = if last_segment(kind).is_some_and(|last| last == "Option") {
                "?"
            } else {
                ""
            };
            format!("{name}{mark}")
        })
    }
}

fn typed(parameter: &FnArg, task: &Ident) -> Result<(Ident, Type)> {
    let FnArg::Typed(PatType { pat, ty, .. }) = parameter else {
        return Err(Error::new(
            parameter.span(),
            "a task is a function and no method",
        ));
    };
    let name = match &**pat {
        Pat::Ident(name) if name.by_ref.is_none() && name.subpat.is_none() => &name.ident,
        other => {
            return Err(Error::new(
                other.span(),
                "a task's parameter needs a name, by which Python may give it",
            ));
        }
    };
    if name == task {
        return Err(Error::new(
            name.span(),
            "a parameter cannot have its task's name",
        ));
    }
    if is_context(parameter).is_some() {
        return Err(Error::new(
            ty.span(),
            "the context is a task's first parameter",
        ));
    }
    if let Type::Reference(reference) = &**ty {
        return Err(Error::new(
            reference.span(),
            "a task owns its arguments: write String for &str, Vec<T> for &[T]",
        ));
    }
    if let Type::ImplTrait(anonymous) = &**ty {
        return Err(Error::new(
            anonymous.span(),
            "a task's parameter has a type with a name",
        ));
    }
    Ok((name.clone(), (**ty).clone()))
}

fn is_context(parameter: &FnArg) -> Option<Context> {
    let FnArg::Typed(PatType { ty, .. }) = parameter else {
        return None;
    };
    let (kind, taken) = match &**ty {
        Type::Reference(reference) => (&*reference.elem, Context::Borrowed),
        owned => (owned, Context::Owned),
    };
    (last_segment(kind)? == "Context").then_some(taken)
}

fn last_segment(kind: &Type) -> Option<&Ident> {
    match kind {
        Type::Path(path) => path.path.segments.last().map(|segment| &segment.ident),
        _ => None,
    }
}
