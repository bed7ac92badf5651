//! What is given to a macro of `tracing`, read from its tokens.

use std::collections::BTreeSet;

use syn::{Expr, Ident, LitStr, Token, ext::IdentExt, parse::ParseStream};

/// The first text, a span's name or an event's message, and the fields.
pub(super) fn said(input: ParseStream<'_>) -> syn::Result<(Option<String>, BTreeSet<String>)> {
    let (mut words, mut fields) = (None, BTreeSet::new());
    while !input.is_empty() {
        if input.peek(Ident::peek_any) && input.peek2(Token![:]) && !input.peek2(Token![::]) {
            // `parent: &span`, `target: "…"`
            input.call(Ident::parse_any)?;
            input.parse::<Token![:]>()?;
            input.parse::<Expr>()?;
        } else if input.peek(LitStr) && !input.peek2(Token![=]) {
            let text: LitStr = input.parse()?;
            // Of an event it comes last, with what is formatted into it.
            words.get_or_insert(text.value());
        } else if words.is_some() && !is_field(input) {
            input.parse::<Expr>()?;
        } else {
            fields.insert(field(input)?);
        }
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
    }
    Ok((words, fields))
}

/// Whether a field comes next, and not an argument of the message.
fn is_field(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    field(&ahead).is_ok() && (ahead.is_empty() || ahead.peek(Token![,]))
}

/// `name = value`, `%name`, `?name` or `name`, with dots in the name.
fn field(input: ParseStream<'_>) -> syn::Result<String> {
    sigil(input)?;
    let mut name =
        if input.peek(LitStr) { input.parse::<LitStr>()?.value() } else { input.call(Ident::parse_any)?.to_string() };
    while input.peek(Token![.]) {
        input.parse::<Token![.]>()?;
        name = format!("{name}.{}", input.call(Ident::parse_any)?);
    }
    if input.peek(Token![=]) {
        input.parse::<Token![=]>()?;
        sigil(input)?;
        input.parse::<Expr>()?;
    }
    Ok(name)
}

fn sigil(input: ParseStream<'_>) -> syn::Result<()> {
    if input.peek(Token![%]) {
        input.parse::<Token![%]>()?;
    } else if input.peek(Token![?]) {
        input.parse::<Token![?]>()?;
    }
    Ok(())
}
