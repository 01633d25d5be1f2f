use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use anyhow::Result;
use rustix::io::{read, write};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::measure::{Round, Run, thread_cpu_time};
use crate::pollers::{EventLoop, Subject};
use crate::report::{Chart, Unit};

const ACTIVE: usize = 100;
const WRITES: usize = 1_000;
/// Repetitions in one round of one subject.
const REPETITIONS: usize = 12;

pub fn measure(run: &Run) -> Result<Vec<Chart>> {
    let title = "n pipes, 100 active: read a byte, write one to the next pipe";
    let mut chart = Chart::new("active-pipes", title, "pipes", "byte", Unit::Nanoseconds);
    let sizes = run.sizes(&[100, 300, 1_000, 3_000, 9_000]);
    run.set_length(sizes.len(), run.rounds());
    for n in sizes {
        let pipes = Pipes::new(n)?;
        let subjects = Subject::all_for(&pipes.readers);
        let mut rounds: Vec<Round<f64>> = Vec::new();
        for &subject in &subjects {
            let pipes = &pipes;
            rounds.push(Box::new(move || pipes.round(subject)));
        }
        run.add_points(&mut chart, n, &subjects, &mut rounds)?;
    }
    Ok(vec![chart])
}

struct Pipes {
    /// The read and the write end of each pipe.
    ends: Vec<(OwnedFd, OwnedFd)>,
    /// The read end of each pipe.
    readers: Vec<RawFd>,
    /// The index of the pipe, by its read end.
    indices: Vec<usize>,
}

impl Pipes {
    fn new(n: usize) -> Result<Self> {
        let new = |_| pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK);
        let ends = (0..n).map(new).collect::<Result<Vec<_>, _>>()?;
        let readers: Vec<_> = ends.iter().map(|(reader, _)| reader.as_raw_fd()).collect();
        let mut indices = vec![0; readers.iter().max().map_or(0, |&highest| highest as usize + 1)];
        for (index, &fd) in readers.iter().enumerate() {
            indices[fd as usize] = index;
        }
        Ok(Self { ends, readers, indices })
    }

    /// CPU time per byte, in nanoseconds. The subject registers the pipes anew in each round: a
    /// write wakes every epoll instance that watches the pipe, so only one may watch it at a time.
    fn round(&self, subject: Subject) -> Result<f64> {
        let mut event_loop = EventLoop::watching(subject, &self.readers)?;
        self.pass_bytes(&mut event_loop)?; // pollset settles on an engine
        let start = thread_cpu_time();
        let bytes = self.pass_bytes(&mut event_loop)?;
        Ok((thread_cpu_time() - start).as_nanos() as f64 / bytes as f64)
    }

    /// Returns the number of bytes read.
    fn pass_bytes(&self, event_loop: &mut EventLoop) -> Result<usize> {
        let n = self.ends.len();
        for _ in 0..REPETITIONS {
            for active in 0..ACTIVE {
                write(&self.ends[active * n / ACTIVE].1, b"!")?;
            }
            let (mut to_read, mut to_write) = (ACTIVE, WRITES);
            while to_read > 0 {
                event_loop.dispatch(None, |_, fd| {
                    let index = self.indices[fd as usize];
                    read(&self.ends[index].0, &mut [0; 1])?;
                    to_read -= 1;
                    if to_write > 0 {
                        write(&self.ends[(index + 1) % n].1, b"!")?;
                        to_write -= 1;
                        to_read += 1;
                    }
                    Ok(true)
                })?;
            }
        }
        Ok(REPETITIONS * (ACTIVE + WRITES))
    }
}
