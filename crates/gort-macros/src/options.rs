//! What stands in the parentheses of the attributes.
//!
//! ```text
//!   unsafe(migrate) , maxprocs = expr , main_stack = expr , crate = path        in any order, each at most once
//! ```
//!
//! Every mistake is an error at the word that made it, and the text says what to write instead. Expressions are kept
//! as they are; only a literal zero is refused here, since it could never be meant.

use proc_macro2::{Span, TokenStream};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Error, Expr, Ident, Lit, LitStr, Path, Result, Token, parenthesized};

/// The parsed arguments. `promise` is the span of the user's own `unsafe`, if it is there.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) promise: Option<Span>,
    pub(crate) maxprocs: Option<Expr>,
    pub(crate) main_stack: Option<Expr>,
    pub(crate) krate: Option<Path>,
}

const KNOWN: &str =
    "the options are `unsafe(migrate)`, `maxprocs = n`, `main_stack = bytes` and `crate = path`";

impl Parse for Options {
    fn parse(input: ParseStream) -> Result<Options> {
        let mut options = Options::default();
        while !input.is_empty() {
            options.parse_one(input)?;
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(options)
    }
}

impl Options {
    fn parse_one(&mut self, input: ParseStream) -> Result<()> {
        if input.peek(Token![unsafe]) {
            let token: Token![unsafe] = input.parse()?;
            parse_promise(input)?;
            return set(&mut self.promise, token.span, token.span, "unsafe(migrate)");
        }
        if !input.peek(Ident::peek_any) {
            return Err(input.error(KNOWN));
        }
        // `call(parse_any)` because `crate` is a keyword.
        let name = input.call(Ident::parse_any)?;
        match name.to_string().as_str() {
            "maxprocs" => {
                let value = parse_count(input, &name)?;
                set(&mut self.maxprocs, value, name.span(), "maxprocs")
            }
            "main_stack" => {
                let value = parse_count(input, &name)?;
                set(&mut self.main_stack, value, name.span(), "main_stack")
            }
            "crate" => {
                let value = parse_crate(input)?;
                set(&mut self.krate, value, name.span(), "crate")
            }
            "migrate" => Err(Error::new(name.span(), "the promise is written `unsafe(migrate)`")),
            unknown => Err(Error::new(name.span(), format!("unknown option `{unknown}`: {KNOWN}"))),
        }
    }
}

fn set<T>(slot: &mut Option<T>, value: T, span: Span, name: &str) -> Result<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Error::new(span, format!("`{name}` is given twice"))),
    }
}

/// The `(migrate)` of `unsafe(migrate)`.
fn parse_promise(input: ParseStream) -> Result<()> {
    const ONLY: &str = "the one promise is `unsafe(migrate)`";
    if !input.peek(syn::token::Paren) {
        return Err(input.error(ONLY));
    }
    let content;
    parenthesized!(content in input);
    match content.parse::<Ident>() {
        Ok(word) if word == "migrate" && content.is_empty() => Ok(()),
        Ok(word) => Err(Error::new(word.span(), ONLY)),
        Err(error) => Err(Error::new(error.span(), ONLY)),
    }
}

/// `= expr`, a number of at least 1.
fn parse_count(input: ParseStream, name: &Ident) -> Result<Expr> {
    parse_equals(input, name)?;
    let value: Expr = input.parse()?;
    if let Expr::Lit(literal) = &value
        && let Lit::Int(int) = &literal.lit
        && int.base10_parse::<u128>().is_ok_and(|int| int == 0)
    {
        return Err(Error::new(int.span(), format!("`{name}` is at least 1; leave it out for the default")));
    }
    Ok(value)
}

/// `= path`. Other crates' attributes take a string here; say so when one comes.
fn parse_crate(input: ParseStream) -> Result<Path> {
    input.parse::<Token![=]>()?;
    if input.peek(LitStr) {
        let string: LitStr = input.parse()?;
        return Err(Error::new(string.span(), format!("`crate` takes a path: `crate = {}`", string.value())));
    }
    input.call(Path::parse_mod_style)
}

fn parse_equals(input: ParseStream, name: &Ident) -> Result<()> {
    match input.parse::<Token![=]>() {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::new(name.span(), format!("`{name}` wants a value: `{name} = ..`"))),
    }
}

/// The attribute as it should have been written: the user's own arguments behind the promise.
pub(crate) fn with_promise(attribute: &str, args: &TokenStream) -> String {
    let args = args.to_string();
    if args.is_empty() {
        format!("#[{attribute}(unsafe(migrate))]")
    } else {
        format!("#[{attribute}(unsafe(migrate), {args})]")
    }
}
