//! From the function to the task.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Attribute, Error, Ident, Result};

use crate::function::{Context, Function};
use crate::options::Options;

pub(crate) fn expand(options: TokenStream, function: TokenStream) -> Result<TokenStream> {
    let options: Options = syn::parse2(options)?;
    let function = Function::new(syn::parse2(function).map_err(|error| {
        Error::new(
            error.span(),
            "#[shared_task] stands before a function: `async fn` or `fn`",
        )
    })?)?;
    if let (Some(bind), None) = (options.bind, function.context) {
        return Err(Error::new(
            bind,
            "`bind` asks for the context: the first parameter is `context: &Context`",
        ));
    }
    let value = value(&function);
    let methods = methods(&function);
    let task = task(&options, &function);
    Ok(quote! { #value #methods #task })
}

/// The unit struct that has the function's name.
fn value(function: &Function) -> TokenStream {
    let (item, name) = (&function.item, &function.item.sig.ident);
    let docs = item.attrs.iter().filter(|attribute| is_doc(attribute));
    let visibility = &item.vis;
    quote! {
        #(#docs)*
        #[allow(non_camel_case_types)]
        #[derive(Clone, Copy, Debug)]
        #visibility struct #name;
    }
}

fn is_doc(attribute: &Attribute) -> bool {
    attribute.path().is_ident("doc")
}

fn methods(function: &Function) -> TokenStream {
    let Function {
        item, names, types, ..
    } = function;
    let visibility = &item.vis;
    let attributes = item.attrs.iter().filter(|attribute| !is_doc(attribute));
    let name = &item.sig.ident;
    let mut signature = item.sig.clone();
    signature.ident = Ident::new("run", name.span());
    let body = &item.block;
    // Of another hygiene than the parameters, one of which may be called `app` as well.
    let app = Ident::new("app", Span::mixed_site());
    quote! {
        #[allow(clippy::needless_pass_by_value, clippy::too_many_arguments, clippy::unnecessary_wraps, clippy::unused_async, dead_code)]
        impl #name {
            /// Runs it here, in this process: what Celery does where a task is simply called.
            #(#attributes)*
            #visibility #signature #body

            /// Sends it. Celery's `.delay()`.
            ///
            /// # Errors
            ///
            /// Arguments that cannot be written, and a broker that cannot be reached.
            ///
            /// # Cancellation
            ///
            /// Dropped before it returns, the task may or may not have been sent.
            #visibility async fn delay(
                &self,
                #app: &::quintette_tasks::App,
                #(#names: #types,)*
            ) -> ::core::result::Result<
                ::quintette_tasks::AsyncResult<<Self as ::quintette_tasks::SharedTask>::Output>,
                ::quintette_tasks::SendError,
            > {
                ::quintette_tasks::SharedTask::task(*self).delay(#app, (#(#names,)*)).await
            }

            /// A call of it, to be sent with options or made part of a canvas. Celery's `.s()`.
            ///
            /// # Errors
            ///
            /// Arguments that cannot be written as JSON.
            #visibility fn s(
                &self,
                #(#names: #types,)*
            ) -> ::core::result::Result<::quintette_tasks::Signature, ::quintette_tasks::SendError> {
                ::quintette_tasks::SharedTask::task(*self).s((#(#names,)*))
            }
        }
    }
}

fn task(options: &Options, function: &Function) -> TokenStream {
    let Options { name, calls, .. } = options;
    let Function { types, returns, .. } = function;
    let value = &function.item.sig.ident;
    let parameters = function.parameters();
    let register = register(function);
    let output = quote_spanned! { returns.span() =>
        <#returns as ::quintette_tasks::TaskReturn>::Output
    };
    quote! {
        impl ::quintette_tasks::SharedTask for #value {
            type Args = (#(#types,)*);
            type Output = #output;

            fn task(self) -> &'static ::quintette_tasks::Task<Self::Args, Self::Output> {
                static TASK: ::quintette_tasks::Task<
                    <#value as ::quintette_tasks::SharedTask>::Args,
                    <#value as ::quintette_tasks::SharedTask>::Output,
                > = ::quintette_tasks::Task::new(#name, &[#(#parameters),*])#calls;
                &TASK
            }

            #register
        }

        impl ::core::ops::Deref for #value {
            type Target = ::quintette_tasks::Task<
                <Self as ::quintette_tasks::SharedTask>::Args,
                <Self as ::quintette_tasks::SharedTask>::Output,
            >;

            fn deref(&self) -> &Self::Target {
                ::quintette_tasks::SharedTask::task(*self)
            }
        }
    }
}

fn register(function: &Function) -> TokenStream {
    let names = &function.names;
    let returns = &function.returns;
    let context = Ident::new("_context", Span::mixed_site());
    let given = match function.context {
        Some(Context::Borrowed) => quote!(&#context,),
        Some(Context::Owned) => quote!(#context,),
        None => TokenStream::new(),
    };
    let call = quote!(Self::run(#given #(#names),*));
    let (with, run) = if function.item.sig.asyncness.is_some() {
        let result = quote!(<#returns as ::quintette_tasks::TaskReturn>::into_result(#call.await));
        (quote!(with), quote!(async move { #result }))
    } else {
        let result = quote!(<#returns as ::quintette_tasks::TaskReturn>::into_result(#call));
        (quote!(with_blocking), result)
    };
    quote! {
        fn register(self, tasks: ::quintette_tasks::worker::Tasks) -> ::quintette_tasks::worker::Tasks {
            tasks.#with(
                ::quintette_tasks::SharedTask::task(self),
                |#context: ::quintette_tasks::worker::Context, (#(#names,)*)| #run,
            )
        }
    }
}
