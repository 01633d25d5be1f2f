//! Markdown as manual pages.

use std::mem::take;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use roff::{Inline, Roff, bold, italic, roman};

/// The page of a function.
pub fn function(name: &str, prototype: &str, documentation: &str, others: &[String]) -> String {
    let first = documentation.split("\n\n").next().unwrap_or_default();
    let mut page = start(name, &summary(first));
    page.control("SH", ["SYNOPSIS"]);
    page.control("nf", []);
    page.text([bold("#include <pollset.h>")]);
    page.control("PP", []);
    for line in lines(prototype) {
        page.text([bold(line)]);
    }
    page.control("fi", []);
    page.control("SH", ["DESCRIPTION"]);
    add(&mut page, documentation);
    end(page, others)
}

/// The page of the library, from its README.
pub fn overview(readme: &str, names: &[String]) -> String {
    let text = readme.split_once("\n\n").unwrap().1; // without the title
    let mut page = start("libpollset", "polling objects");
    page.control("SH", ["DESCRIPTION"]);
    add(&mut page, text);
    end(page, names)
}

fn start(name: &str, summary: &str) -> Roff {
    let mut page = Roff::new();
    let version = concat!("libpollset ", env!("CARGO_PKG_VERSION"));
    page.control("TH", [name, "3", NO_DATE, version, "Library Functions Manual"]);
    page.control("nh", []); // names of functions stay whole
    page.control("SH", ["NAME"]);
    page.text([roman(format!("{name} - {summary}"))]);
    page
}

/// The crate `roff` leaves out an empty argument.
const NO_DATE: &str = "NO-DATE";

fn end(mut page: Roff, others: &[String]) -> String {
    page.control("SH", ["SEE ALSO"]);
    let names = others.iter().map(|name| format!("{name}(3)"));
    let systems = ["epoll(7)", "poll(2)"].map(str::to_owned);
    let list = systems.into_iter().chain(names).collect::<Vec<_>>().join(", ");
    page.text([roman(list)]);
    page.to_roff().replace(NO_DATE, "\"\"")
}

/// The lines of a prototype, none longer than a terminal.
fn lines(prototype: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for parameter in prototype.split_inclusive(", ") {
        if lines[lines.len() - 1].len() + parameter.len() > 70 {
            lines.push("    ".to_owned());
        }
        lines.last_mut().unwrap().push_str(parameter);
    }
    lines.iter().map(|line| line.trim_end().to_owned()).collect()
}

/// The first sentence, up to a comma, as the line of a list of pages.
fn summary(paragraph: &str) -> String {
    let text = paragraph.replace('\n', " ").replace('`', "");
    let sentence = text.split([',', '.', ':']).next().unwrap_or_default();
    let mut letters = sentence.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// Adds Markdown: headings, paragraphs, lists, tables, code.
fn add(page: &mut Roff, markdown: &str) {
    let mut line: Vec<Inline> = Vec::new();
    let mut heading = None;
    let (mut is_bold, mut is_italic, mut is_code_block) = (false, false, false);
    let mut is_first = true;
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => {
                let title = heading.take().unwrap_or_default().to_uppercase();
                page.control("SH", [title.as_str()]);
                is_first = true;
            }
            Event::Text(text) | Event::Code(text) if heading.is_some() => {
                heading.as_mut().unwrap().push_str(&text);
            }
            Event::Start(Tag::Paragraph) => begin_paragraph(page, &mut is_first),
            Event::Start(Tag::Item) => {
                is_first = false;
                page.control("IP", ["\\(bu", "2"]);
            }
            Event::Start(Tag::TableRow | Tag::TableHead) => {
                page.control("PP", []);
            }
            Event::End(TagEnd::TableCell) => line.push(roman("   ")),
            Event::Start(Tag::CodeBlock(_)) => {
                is_code_block = true;
                begin_paragraph(page, &mut is_first);
                page.control("RS", ["4"]);
                page.control("nf", []);
            }
            Event::End(TagEnd::CodeBlock) => {
                is_code_block = false;
                page.control("fi", []);
                page.control("RE", []);
            }
            Event::Text(text) if is_code_block => {
                text.lines().for_each(|code| {
                    page.text([roman(code)]);
                });
            }
            Event::Start(Tag::Strong) => is_bold = true,
            Event::End(TagEnd::Strong) => is_bold = false,
            Event::Start(Tag::Emphasis) => is_italic = true,
            Event::End(TagEnd::Emphasis) => is_italic = false,
            Event::Text(text) if is_italic => line.push(italic(text.to_string())),
            Event::Text(text) if !is_bold => line.push(roman(text.to_string())),
            Event::Text(text) | Event::Code(text) => line.push(bold(text.to_string())),
            Event::SoftBreak | Event::HardBreak => line.push(roman(" ")),
            Event::End(TagEnd::Paragraph | TagEnd::Item | TagEnd::TableRow | TagEnd::TableHead)
                if !line.is_empty() =>
            {
                page.text(take(&mut line));
            }
            _ => {}
        }
    }
}

/// A heading begins the first paragraph.
fn begin_paragraph(page: &mut Roff, is_first: &mut bool) {
    if !take(is_first) {
        page.control("PP", []);
    }
}
