//! From the arguments and the function to the code that enters the runtime.
//!
//! The contract with gort's hidden `__rt` is three names: `Options` (`new`, `maxprocs`, `main_stack`), `enter_main`
//! and `enter_test`, both `unsafe fn(Options, impl FnOnce() -> T + Send + 'static) -> ExitCode`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, Path, Result, ReturnType, Token, parse_quote, parse_quote_spanned};

use crate::function::Function;
use crate::options::{self, Options};

/// Which of the two attributes.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Entry {
    Main,
    Test,
}

impl Entry {
    fn attribute(self) -> &'static str {
        match self {
            Entry::Main => "gort::main",
            Entry::Test => "gort::test",
        }
    }
}

/// The expansion, or the errors. With an error the item comes out as it went in, without the attribute: then the
/// error stands alone instead of being followed by rustc missing the function.
pub(crate) fn attribute(entry: Entry, args: TokenStream, item: TokenStream) -> TokenStream {
    expand(entry, &args, &item).unwrap_or_else(|error| {
        let errors = error.into_compile_error();
        quote!(#errors #item)
    })
}

fn expand(entry: Entry, args: &TokenStream, item: &TokenStream) -> Result<TokenStream> {
    let attribute = entry.attribute();
    let function: Function = syn::parse2(item.clone())
        .map_err(|error| Error::new(error.span(), format!("`#[{attribute}]` goes on a function: {error}")))?;
    let options: Options = syn::parse2(args.clone())?;
    function.check(attribute)?;
    let promise = options.promise.ok_or_else(|| missing_promise(attribute, args))?;
    Ok(enter(entry, promise, &options, &function))
}

fn missing_promise(attribute: &str, args: &TokenStream) -> Error {
    let fix = options::with_promise(attribute, args);
    Error::new(
        Span::call_site(),
        format!(
            "goroutines move between OS threads, so entering the runtime is a promise: no code that runs on \
             goroutines keeps a thread-local reference, a value bound to its thread or an owner-checked guard of std \
             across a call that may park.\nTo make the promise, write {fix}"
        ),
    )
}

fn enter(entry: Entry, promise: Span, options: &Options, function: &Function) -> TokenStream {
    let Function { attrs, vis, sig, body } = function;
    let test_attr = (entry == Entry::Test).then(|| quote!(#[::core::prelude::v1::test]));
    let outer_sig = outer_signature(function);

    // A return type that is no `Termination` is complained about where it stands, since the call carries its span.
    let at = match &sig.output {
        ReturnType::Default => sig.ident.span(),
        ReturnType::Type(_, ty) => ty.span(),
    };
    let at = at.resolved_at(Span::mixed_site());

    let krate: Path = options.krate.clone().unwrap_or_else(|| parse_quote_spanned!(at=> ::gort));
    let maxprocs = options.maxprocs.as_ref().map(|value| quote_spanned!(value.span()=> .maxprocs(#value)));
    let main_stack =
        options.main_stack.as_ref().map(|value| quote_spanned!(value.span()=> .main_stack(#value)));

    // Mixed-site: invisible to the user's body and not to be captured by anything of theirs.
    let settings = Ident::new("options", Span::mixed_site());
    let status = Ident::new("status", Span::mixed_site());
    let enter = Ident::new(
        match entry {
            Entry::Main => "enter_main",
            Entry::Test => "enter_test",
        },
        at,
    );
    let name = &sig.ident;

    let token = Token![unsafe](promise);
    let call = quote_spanned!(at=> #krate::__rt::#enter(#settings, #name));
    // The braces carry the promise's span as well, so that the whole block lies where the user wrote `unsafe`.
    let mut block = proc_macro2::Group::new(proc_macro2::Delimiter::Brace, call);
    block.set_span(promise);
    let result = if function.returns_unit() { quote!(let _ = #status;) } else { status.to_token_stream() };

    quote! {
        #test_attr
        #(#attrs)*
        #vis #outer_sig {
            #sig #body
            let #settings = #krate::__rt::Options::new() #maxprocs #main_stack;
            // The promise is the safety comment: nobody should have to write another one above each test.
            #[allow(clippy::undocumented_unsafe_blocks)]
            let #status: ::std::process::ExitCode = #token #block;
            #result
        }
    }
}

/// The signature the world sees: the user's own if nothing is returned, else with an `ExitCode`.
fn outer_signature(function: &Function) -> TokenStream {
    let mut sig = function.sig.clone();
    if !function.returns_unit() {
        sig.output = parse_quote!(-> ::std::process::ExitCode);
    }
    sig.to_token_stream()
}
