//! Manual pages, from the comments of the functions.

use std::fs;

use syn::{Attribute, Expr, ExprLit, Item, ItemFn, Lit, Meta};

use crate::{DIRECTORY, roff};

/// The names of the pages of section 3, and their texts: one for each function, and one for the whole.
pub fn pages(header: &str) -> Vec<(String, String)> {
    let overview = fs::read_to_string(format!("{DIRECTORY}/README.md")).unwrap();
    let functions: Vec<_> = ["set", "registrations", "wait", "stats"]
        .iter()
        .flat_map(|module| functions(&format!("{DIRECTORY}/src/{module}.rs")))
        .collect();
    let names: Vec<_> = functions.iter().map(|(name, _)| name.clone()).collect();
    let mut pages = vec![("libpollset.3".to_owned(), roff::overview(&overview, &names))];
    for (name, documentation) in &functions {
        let others: Vec<_> = names.iter().filter(|&other| other != name).cloned().collect();
        let page = roff::function(name, &prototype(header, name), documentation, &others);
        pages.push((format!("{name}.3"), page));
    }
    pages
}

/// The functions of the interface in a file, and their documentation.
fn functions(path: &str) -> Vec<(String, String)> {
    let file = syn::parse_file(&fs::read_to_string(path).unwrap()).unwrap();
    let functions = file.items.iter().filter_map(|item| match item {
        Item::Fn(function) if function.sig.abi.is_some() && !is_for_some_systems(function) => {
            Some((function.sig.ident.to_string(), documentation(&function.attrs)))
        }
        _ => None,
    });
    functions.collect()
}

/// Such as another name for the same function.
fn is_for_some_systems(function: &ItemFn) -> bool {
    function.attrs.iter().any(|attribute| attribute.path().is_ident("cfg"))
}

fn documentation(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(meta) if meta.path.is_ident("doc") => match &meta.value {
            Expr::Lit(ExprLit { lit: Lit::Str(line), .. }) => Some(line.value()),
            _ => None,
        },
        _ => None,
    });
    let lines = lines.map(|line| line.strip_prefix(' ').unwrap_or(&line).to_owned());
    lines.collect::<Vec<_>>().join("\n")
}

/// The declaration of a function in the header.
fn prototype(header: &str, name: &str) -> String {
    let call = format!("{name}(");
    let is_start = |line: &str| line.contains(&call) && !line.starts_with([' ', '/', '#']);
    let start = header.lines().position(is_start).unwrap();
    let mut lines = Vec::new();
    for line in header.lines().skip(start) {
        lines.push(line.trim());
        if line.ends_with(';') {
            break;
        }
    }
    lines.join(" ")
}
