use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use anyhow::Result;
use rustix::io::{read, write};
use rustix::pipe::{PipeFlags, pipe_with};

use super::waits::{add_results, who_can_watch};
use crate::measure::{Player, Run, processor_time};
use crate::pollers::{Contestant, Watching};
use crate::report::{Chart, Unit};

const ACTIVE: usize = 100;
const WRITES: usize = 1_000;
/// Of one contestant, in one round.
const TURNS: usize = 12;

pub fn measure(run: &Run) -> Result<Vec<Chart>> {
    let title = "n pipes, 100 active: read a byte here, write one there";
    let mut chart = Chart::new("active-pipes", title, "pipes", "a byte", Unit::Nanoseconds);
    let sizes = run.sizes(&[100, 300, 1_000, 3_000, 9_000]);
    run.expect(sizes.len(), run.rounds());
    for n in sizes {
        let pipes = Pipes::new(n)?;
        let contestants = who_can_watch(&pipes.numbers);
        let mut players: Vec<Player<f64>> = Vec::new();
        for &contestant in &contestants {
            let pipes = &pipes;
            players.push(Box::new(move || pipes.round(contestant)));
        }
        add_results(run, &mut chart, n, &contestants, &mut players)?;
    }
    Ok(vec![chart])
}

struct Pipes {
    /// To read from, and to write to.
    ends: Vec<(OwnedFd, OwnedFd)>,
    /// Of the ends to read from.
    numbers: Vec<RawFd>,
    /// By number.
    places: Vec<usize>,
}

impl Pipes {
    fn new(n: usize) -> Result<Self> {
        let new = |_| pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK);
        let ends = (0..n).map(new).collect::<Result<Vec<_>, _>>()?;
        let numbers: Vec<_> = ends.iter().map(|(reader, _)| reader.as_raw_fd()).collect();
        let mut places = vec![0; numbers.iter().max().map_or(0, |&most| most as usize + 1)];
        for (place, &fd) in numbers.iter().enumerate() {
            places[fd as usize] = place;
        }
        Ok(Self { ends, numbers, places })
    }

    /// Nobody else watches the pipes meanwhile: every instance that does is told of every byte.
    fn round(&self, contestant: Contestant) -> Result<f64> {
        let mut watching = contestant.watching(&self.numbers)?;
        self.turns(&mut watching)?; // until ours has chosen
        let start = processor_time();
        let bytes = self.turns(&mut watching)?;
        Ok((processor_time() - start).as_nanos() as f64 / bytes as f64)
    }

    /// How many bytes were read.
    fn turns(&self, watching: &mut Watching) -> Result<usize> {
        let n = self.ends.len();
        for _ in 0..TURNS {
            for active in 0..ACTIVE {
                write(&self.ends[active * n / ACTIVE].1, b"!")?;
            }
            let (mut to_read, mut to_write) = (ACTIVE, WRITES);
            while to_read > 0 {
                watching.serve(None, |_, fd| {
                    let place = self.places[fd as usize];
                    read(&self.ends[place].0, &mut [0; 1])?;
                    to_read -= 1;
                    if to_write > 0 {
                        write(&self.ends[(place + 1) % n].1, b"!")?;
                        to_write -= 1;
                        to_read += 1;
                    }
                    Ok(true)
                })?;
            }
        }
        Ok(TURNS * (ACTIVE + WRITES))
    }
}
