//! The attribute `#[shared_task]`. It is documented where it is used: as `quintette_tasks::shared_task`.

use proc_macro::TokenStream;

mod expand;
mod function;
mod options;

/// See `quintette_tasks::shared_task`.
#[proc_macro_attribute]
pub fn shared_task(options: TokenStream, function: TokenStream) -> TokenStream {
    expand::expand(options.into(), function.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

#[cfg(test)]
mod tests;
