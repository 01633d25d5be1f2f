use std::os::fd::RawFd;
use std::time::Duration;

use anyhow::Result;

use super::waits::add_results;
use crate::crowd::Crowd;
use crate::measure::{Run, calls};
use crate::pollers::{Contestant, MOST_OF_SELECT};
use crate::report::{Chart, Unit};

const DESCRIPTORS: usize = 100;

pub fn measure(run: &Run) -> Result<Vec<Chart>> {
    let title = "The same 100 descriptors, numbered low and high";
    let x = "highest descriptor";
    let mut chart = Chart::new("numbering", title, x, "a wait", Unit::Nanoseconds);
    let highest = run.sizes(&[150, 300, 450, 600, 750, 900, MOST_OF_SELECT as usize - 1]);
    run.expect(highest.len(), run.rounds());
    for highest in highest {
        add_numbered(run, &mut chart, highest)?;
    }
    Ok(vec![chart])
}

fn add_numbered(run: &Run, chart: &mut Chart, highest: usize) -> Result<()> {
    let crowd = Crowd::of_eventfds(DESCRIPTORS, |member| member == DESCRIPTORS / 2)?;
    let crowd = crowd.up_to(highest as RawFd)?;
    let numbers = crowd.numbers();
    let contestants = [Contestant::Poll, Contestant::Select, Contestant::Ours];
    let mut players = Vec::new();
    for contestant in &contestants {
        let mut watching = contestant.watching(&numbers)?;
        players.push(calls(move || assert_eq!(watching.count(Some(Duration::ZERO)), 1)));
    }
    add_results(run, chart, highest, &contestants, &mut players)
}
