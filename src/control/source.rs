//! Where the plan comes from, and how it is made again: from the file, from the text as it was with files that have
//! changed, or from the command line. Everything here blocks: it runs beside the control thread, never on it.

use std::path::PathBuf;

use super::config::{self, Keep, Loaded, ProxyArguments};
use crate::plan::{Cores, DriverChoice, Plan};

/// The source of a plan.
#[derive(Clone)]
pub struct Source {
    pub origin: Origin,
    /// From the command line; they win over the file, at every load.
    pub cores: Option<Cores>,
    pub driver: Option<DriverChoice>,
}

/// What a plan is read from.
#[derive(Clone)]
pub enum Origin {
    File(PathBuf),
    CommandLine(ProxyArguments),
}

impl Source {
    /// Reads everything.
    ///
    /// # Errors
    /// All that is wrong, as lines for a person.
    pub fn load(&self, keep: &Keep) -> Result<Loaded, String> {
        let loaded = match &self.origin {
            Origin::File(path) => config::load(path, keep),
            Origin::CommandLine(arguments) => config::proxy_plan(arguments, keep),
        };
        self.overridden(loaded.map_err(|errors| errors.to_string())?)
    }

    /// Reads the files that the plan names (certificates, keys, authorities, secrets) again, but not the configuration
    /// itself: that waits for SIGHUP, so that a half-edited file takes no effect.
    ///
    /// # Errors
    /// All that is wrong, as lines for a person.
    pub fn load_again(&self, former: &Loaded, keep: &Keep) -> Result<Loaded, String> {
        let loaded = match &self.origin {
            Origin::File(path) => config::load_text(&former.text, path, keep),
            Origin::CommandLine(arguments) => config::proxy_plan(arguments, keep),
        };
        self.overridden(loaded.map_err(|errors| errors.to_string())?)
    }

    #[expect(clippy::unnecessary_wraps, reason = "the last step of two fallible functions")]
    fn overridden(&self, mut loaded: Loaded) -> Result<Loaded, String> {
        let Plan { start, .. } = &mut loaded.plan;
        if let Some(cores) = &self.cores {
            start.cores = cores.clone();
        }
        if let Some(driver) = self.driver {
            start.driver = driver;
        }
        Ok(loaded)
    }

    /// Whether somebody asked for the admin address: then it must be had, else it may be missing.
    pub fn chose_admin(&self) -> bool {
        match &self.origin {
            Origin::File(_) => true,
            Origin::CommandLine(arguments) => arguments.admin.is_some(),
        }
    }

    /// The files whose change makes the plan another one.
    pub fn watched(&self, loaded: &Loaded) -> Vec<PathBuf> {
        let config = match &self.origin {
            Origin::File(path) => Some(path),
            Origin::CommandLine(_) => None,
        };
        loaded.files.iter().filter(|file| Some(*file) != config).cloned().collect()
    }
}
