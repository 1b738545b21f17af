//! The function under an attribute, and what may not be said of it.
//!
//! Attributes, visibility and signature are parsed; the body stays one opaque group of tokens, so that an editor gets
//! a half-typed body back as it is, and rustc reports what is wrong in it.

use proc_macro2::{Delimiter, Group, TokenTree};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Attribute, Error, Result, ReturnType, Signature, Type, Visibility};

/// A function whose body is still tokens.
pub(crate) struct Function {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    pub(crate) body: Group,
}

impl Parse for Function {
    fn parse(input: ParseStream) -> Result<Function> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        let sig = input.parse()?;
        match input.parse()? {
            TokenTree::Group(body) if body.delimiter() == Delimiter::Brace => {
                Ok(Function { attrs, vis, sig, body })
            }
            other => Err(Error::new(other.span(), "a function with a body goes here")),
        }
    }
}

impl Function {
    /// Whether the function gives nothing back: `fn f()` or `fn f() -> ()`.
    pub(crate) fn returns_unit(&self) -> bool {
        match &self.sig.output {
            ReturnType::Default => true,
            ReturnType::Type(_, ty) => matches!(&**ty, Type::Tuple(tuple) if tuple.elems.is_empty()),
        }
    }

    /// Refuses, all at once, what can not be the first function of a goroutine.
    pub(crate) fn check(&self, attribute: &str) -> Result<()> {
        let sig = &self.sig;
        let mut errors = Errors(None);
        if let Some(token) = &sig.asyncness {
            errors.push(
                token.span(),
                format!(
                    "gort needs no `async`: goroutines block. Write `fn {}()`, and run a future with `gort::block_on`",
                    sig.ident
                ),
            );
        }
        if let Some(token) = &sig.constness {
            errors.push(token.span(), format!("a `const fn` can not be a `#[{attribute}]`"));
        }
        if let Some(token) = &sig.unsafety {
            errors.push(
                token.span(),
                format!("an `unsafe fn` can not be a `#[{attribute}]`: nobody could call it"),
            );
        }
        if let Some(abi) = &sig.abi {
            errors.push(abi.span(), format!("a function with a foreign ABI can not be a `#[{attribute}]`"));
        }
        if !sig.generics.params.is_empty() {
            errors.push(
                sig.generics.params.span(),
                format!("a `#[{attribute}]` function has no generic parameters"),
            );
        }
        if let Some(clause) = &sig.generics.where_clause {
            errors.push(clause.span(), format!("a `#[{attribute}]` function has no `where` clause"));
        }
        if !sig.inputs.is_empty() {
            errors.push(sig.inputs.span(), format!("a `#[{attribute}]` function takes no arguments"));
        }
        if let Some(variadic) = &sig.variadic {
            errors.push(variadic.span(), format!("a `#[{attribute}]` function takes no arguments"));
        }
        errors.finish()
    }
}

/// Several errors shown as one.
struct Errors(Option<Error>);

impl Errors {
    fn push(&mut self, span: proc_macro2::Span, text: String) {
        let error = Error::new(span, text);
        match &mut self.0 {
            Some(first) => first.combine(error),
            None => self.0 = Some(error),
        }
    }

    fn finish(self) -> Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}
