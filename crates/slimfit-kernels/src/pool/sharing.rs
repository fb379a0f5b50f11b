//! How the work of a phase is shared among workers.

use super::PoolError;

/// Environment variable that says how pools share work where nobody sets it.
pub const SHARING_VARIABLE: &str = "SLIMFIT_SHARING";

/// How the work of a phase is shared. Products are the same in every bit; the attention of one token, whose keys are cut
/// at other places, only but for rounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sharing {
    /// Claimed where the system says that the workers' cores differ in speed, or while somebody else's work takes a
    /// worker's core away again and again; else equal.
    #[default]
    Automatic,
    /// As many equal shares as workers: nothing is counted, and a worker reads the same weights in every step.
    Equal,
    /// Smaller pieces, each done by who is free first: the slowest core delays nobody by more than its last piece.
    Claimed,
}

impl Sharing {
    /// What the environment says.
    ///
    /// # Errors
    /// It says something else.
    pub fn selected() -> Result<Self, PoolError> {
        match std::env::var(SHARING_VARIABLE) {
            Ok(text) => Self::named(&text),
            Err(std::env::VarError::NotPresent) => Ok(Self::Automatic),
            Err(std::env::VarError::NotUnicode(text)) => {
                Err(PoolError::UnknownSharing { found: text.to_string_lossy().into_owned() })
            }
        }
    }

    fn named(text: &str) -> Result<Self, PoolError> {
        match text {
            "" | "automatic" => Ok(Self::Automatic),
            "equal" => Ok(Self::Equal),
            "claimed" => Ok(Self::Claimed),
            found => Err(PoolError::UnknownSharing { found: found.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_have_names_and_others_are_refused() {
        assert_eq!(Sharing::named("").unwrap(), Sharing::Automatic);
        assert_eq!(Sharing::named("claimed").unwrap(), Sharing::Claimed);
        assert_eq!(Sharing::named("equal").unwrap(), Sharing::Equal);
        let error = Sharing::named("stolen").unwrap_err().to_string();
        assert!(error.contains("`stolen`") && error.contains("`claimed`"), "{error}");
    }
}
