//! `pollset completions` and `pollset man`: files that a shell and man(1) read.

use std::path::PathBuf;
use std::process::ExitCode;
use std::{fs, io, iter};

use anyhow::{Result, anyhow};
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use crate::{Cli, output};

/// Print the completion file of a shell.
#[derive(clap::Args)]
#[command(after_help = "\
To install it, write it to
  bash  ~/.local/share/bash-completion/completions/pollset
  zsh   _pollset in a folder of $fpath
  fish  ~/.config/fish/completions/pollset.fish")]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Write the man pages into a folder.
#[derive(clap::Args)]
#[command(after_help = "\
To install them:
  dir=~/.local/share/man/man1; mkdir -p $dir && pollset man $dir")]
pub struct ManArgs {
    /// The folder: it has to exist
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub fn completions(args: &CompletionsArgs) -> Result<ExitCode> {
    let mut file = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "pollset", &mut file);
    output::write_stdout(&file)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes a page for the command, and one for each of its subcommands.
pub fn man(args: &ManArgs) -> Result<ExitCode> {
    let mut command = Cli::command();
    command.build();
    let visible = command
        .get_subcommands()
        .filter(|subcommand| !subcommand.is_hide_set() && subcommand.get_name() != "help");
    for command in iter::once(&command).chain(visible) {
        let name = command.get_display_name().unwrap_or(command.get_name());
        let path = args.folder.join(format!("{name}.1"));
        let page = man_page(command)?;
        fs::write(&path, page)
            .map_err(|error| anyhow!("can't write {}: {}", path.display(), output::text(&error)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A man page. The crate would fill the lines of the text after the options, which are tables.
fn man_page(command: &Command) -> io::Result<Vec<u8>> {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    let sections = command.get_after_long_help().or(command.get_after_help());
    let sections = sections.map(ToString::to_string).unwrap_or_default();
    let mut without_sections = command.clone().after_help("").after_long_help("");
    if command.has_subcommands() {
        // It has no page.
        without_sections = without_sections.mut_subcommand("help", |help| help.hide(true));
    }
    let mut page = Vec::new();
    let man = Man::new(without_sections);
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    let mut synopsis = Roff::new();
    synopsis.control("SH", ["SYNOPSIS"]).text([roman(usage)]).to_writer(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let mut roff = Roff::new();
    for line in sections.lines() {
        match line.strip_suffix(':') {
            Some(heading) if !line.starts_with(' ') => {
                roff.control("fi", []).control("SH", [heading.to_uppercase().as_str()]);
                roff.control("nf", []);
            }
            _ => {
                roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
            }
        }
    }
    roff.control("fi", []).to_writer(&mut page)?;
    Ok(page)
}
