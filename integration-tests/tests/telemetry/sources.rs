//! What the sources of the services emit, read from their syntax: instruments with their units, attributes,
//! spans with their fields, fields of log records. Names have to be written out where they are used.

mod said;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::{TokenStream, TokenTree};
use syn::{
    Attribute, Block, Expr, ExprCall, ExprMethodCall, ItemFn, ItemImpl, ItemMod, Lit, Macro, Token,
    parse::{Parse, ParseStream, Parser},
    visit::{self, Visit},
};

use self::said::said;

const INSTRUMENTS: [&str; 4] = ["_counter", "_histogram", "_gauge", "_up_down_counter"];
const EVENTS: [&str; 6] = ["trace", "debug", "info", "warn", "error", "event"];
const SPANS: [&str; 6] = ["trace_span", "debug_span", "info_span", "warn_span", "error_span", "span"];

/// What is emitted.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// The unit by the metric's name.
    pub(crate) metrics: BTreeMap<String, Option<String>>,
    pub(crate) attributes: BTreeSet<String>,
    pub(crate) spans: BTreeMap<String, BTreeSet<String>>,
    pub(crate) log_fields: BTreeSet<String>,
}

impl Sources {
    /// Reads all that a service is made of; tests are left out.
    pub(crate) fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut sources = Self::default();
        for package in ["crates", "services"].into_iter().flat_map(|folder| entries(&root.join(folder))) {
            sources.read_folder(&package.join("src"));
        }
        sources
    }

    fn read_folder(&mut self, folder: &Path) {
        for path in entries(folder) {
            if path.file_stem().is_some_and(|name| name == "tests") {
                continue;
            }
            if path.is_dir() {
                self.read_folder(&path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                File { place: path.display().to_string(), sources: self }.visit_file(&file);
            }
        }
    }

    /// Reads one file's text, for tests of the reader.
    pub(crate) fn of(text: &str) -> Self {
        let mut sources = Self::default();
        let file = syn::parse_file(text).unwrap();
        File { place: "a test".to_owned(), sources: &mut sources }.visit_file(&file);
        sources
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.unwrap().path()).collect()
}

struct File<'a> {
    place: String,
    sources: &'a mut Sources,
}

impl File<'_> {
    fn read_macro(&mut self, name: &str, tokens: TokenStream) {
        let (is_event, is_span) = (EVENTS.contains(&name), SPANS.contains(&name));
        if !is_event && !is_span {
            return;
        }
        let (words, fields) = said.parse2(tokens).unwrap_or_else(|error| {
            panic!("{}: {name}! is not understood: {error}", self.place);
        });
        let fields = fields.into_iter().filter(|field| !field.starts_with("otel."));
        if is_event {
            self.sources.log_fields.extend(fields);
        } else {
            let span = words.unwrap_or_else(|| panic!("{}: the name of a span is not written out", self.place));
            self.sources.spans.entry(span).or_default().extend(fields);
        }
    }
}

impl File<'_> {
    /// What other macros hold: expressions, as in `vec!`, or somewhere in them blocks, as in `tokio::select!`.
    fn read_inside(&mut self, tokens: TokenStream) {
        let expressions = |input: ParseStream<'_>| input.parse_terminated(Expr::parse, Token![,]);
        if let Ok(expressions) = expressions.parse2(tokens.clone()) {
            expressions.iter().for_each(|expression| self.again().visit_expr(expression));
            return;
        }
        let mut before = (String::new(), String::new());
        for token in tokens {
            if let TokenTree::Group(group) = &token {
                if before.1 == "!" {
                    self.read_macro(&before.0, group.stream());
                }
                match Block::parse_within.parse2(group.stream()) {
                    Ok(statements) => statements.iter().for_each(|statement| self.again().visit_stmt(statement)),
                    Err(_) => self.read_inside(group.stream()),
                }
            }
            before = (before.1, token.to_string());
        }
    }

    /// For what was parsed here and does not live as long as the file.
    fn again(&mut self) -> File<'_> {
        File { place: self.place.clone(), sources: self.sources }
    }
}

impl<'ast> Visit<'ast> for File<'_> {
    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        if !is_test(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        if !is_test(&function.attrs) {
            visit::visit_item_fn(self, function);
        }
    }

    fn visit_item_impl(&mut self, block: &'ast ItemImpl) {
        if !is_test(&block.attrs) {
            visit::visit_item_impl(self, block);
        }
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        let is_instrument = attribute.path().segments.last().is_some_and(|last| last.ident == "instrument");
        assert!(!is_instrument, "{}: #[instrument] emits names that are not written out", self.place);
    }

    fn visit_macro(&mut self, called: &'ast Macro) {
        if let Some(last) = called.path.segments.last() {
            self.read_macro(&last.ident.to_string(), called.tokens.clone());
        }
        self.read_inside(called.tokens.clone());
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        let method = call.method.to_string();
        if is_instrument(&method) {
            let name = written_out(call.args.first())
                .unwrap_or_else(|| panic!("{}: the name in {method}(…) is not written out", self.place));
            self.sources.metrics.entry(name).or_default();
        }
        if method == "with_unit"
            && let Some(name) = instrument_of(&call.receiver)
        {
            self.sources.metrics.insert(name, written_out(call.args.first()));
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        if let Expr::Path(path) = &*call.func {
            let segments: Vec<String> = path.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            if segments.ends_with(&["KeyValue".to_owned(), "new".to_owned()]) {
                let key = written_out(call.args.first())
                    .unwrap_or_else(|| panic!("{}: the key of a KeyValue is not written out", self.place));
                self.sources.attributes.insert(key);
            }
        }
        visit::visit_expr_call(self, call);
    }
}

fn is_instrument(method: &str) -> bool {
    let numbers = ["u64", "i64", "f64"];
    numbers.iter().any(|number| method.starts_with(number)) && INSTRUMENTS.iter().any(|end| method.ends_with(end))
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        _ => attribute.path().segments.last().is_some_and(|last| last.ident == "test"),
    })
}

/// The name of the instrument that a chain of calls builds.
fn instrument_of(mut receiver: &Expr) -> Option<String> {
    while let Expr::MethodCall(call) = receiver {
        if is_instrument(&call.method.to_string()) {
            return written_out(call.args.first());
        }
        receiver = &call.receiver;
    }
    None
}

fn written_out(argument: Option<&Expr>) -> Option<String> {
    match argument? {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Str(text) => Some(text.value()),
            _ => None,
        },
        _ => None,
    }
}
