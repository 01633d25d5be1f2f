//! Reminders: a loop that waits until the next of many deadlines, or until another thread wakes it.
//!
//! ```sh
//! printf '0.5 tea\n0.2 coffee\n' | cargo run --release -p pollset --example timers
//! ```
//!
//! Each line of the input is a delay in seconds and a text. The program exits after the end of the
//! input and the last reminder.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::sync::mpsc::{self, Sender, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

use pollset::{PollFlags, PollSet, Timeout, Waker};

/// Its deadline and its text.
type Reminder = (Instant, String);

fn main() -> io::Result<()> {
    let set = PollSet::new();
    let waker = Waker::new()?;
    set.register(&waker, PollFlags::IN)?;
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        let reader = scope.spawn(|| read_reminders(sender, &waker));
        let mut reminders = BinaryHeap::new(); // the earliest deadline is the greatest
        let mut is_open = true;
        while is_open || !reminders.is_empty() {
            let next = reminders.peek().map(|Reverse((due, _))| *due);
            for event in set.poll(next.map_or(Timeout::Never, Timeout::At))? {
                assert!(event.is_for(&waker));
                waker.clear()?;
                is_open = loop {
                    match receiver.try_recv() {
                        Ok(reminder) => reminders.push(Reverse(reminder)),
                        Err(TryRecvError::Empty) => break true,
                        Err(TryRecvError::Disconnected) => break false,
                    }
                };
            }
            let now = Instant::now();
            while reminders.peek().is_some_and(|Reverse((due, _))| *due <= now) {
                let Reverse((_, text)) = reminders.pop().expect("there is one");
                println!("{text}");
            }
        }
        reader.join().expect("the reader panicked")
    })
}

/// Runs in a separate thread, since reads may block. Closes the channel at the end of the input.
fn read_reminders(sender: Sender<Reminder>, waker: &Waker) -> io::Result<()> {
    for line in io::stdin().lines() {
        match parse(&line?) {
            Some(reminder) => {
                sender.send(reminder).expect("the loop runs until the channel is closed");
                waker.wake()?;
            }
            None => eprintln!("a line is a number of seconds, a space and a text"),
        }
    }
    drop(sender);
    waker.wake()
}

fn parse(line: &str) -> Option<Reminder> {
    let (seconds, text) = line.split_once(' ')?;
    let delay = Duration::try_from_secs_f64(seconds.parse().ok()?).ok()?;
    Some((Instant::now().checked_add(delay)?, text.to_owned()))
}
