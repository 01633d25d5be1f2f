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

impl From<Engine> for pollset::Engine {
    fn from(engine: Engine) -> Self {
        match engine {
            Engine::Auto => Self::Auto,
            Engine::Poll => Self::Poll,
            Engine::Epoll => Self::Epoll,
        }
    }
}
