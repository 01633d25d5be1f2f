//! The values of `--engine`.

#[derive(Clone, Copy, Default, clap::ValueEnum)]
pub enum Engine {
    /// The cheaper of the two, chosen for each wait
    #[default]
    Auto,
    /// poll(2)
    Poll,
    /// epoll(7), where the system has it
    Epoll,
}

impl From<Engine> for Option<pollset::Engine> {
    fn from(engine: Engine) -> Self {
        match engine {
            Engine::Auto => None,
            Engine::Poll => Some(pollset::Engine::Poll),
            Engine::Epoll => Some(pollset::Engine::Epoll),
        }
    }
}
