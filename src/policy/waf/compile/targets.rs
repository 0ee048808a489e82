//! Targets become lists that are looked up once: which variables, which of their members, what is left out.
//!
//! A list that depends on the request alone is `fixed`: `transaction` looks it up once a phase. Looks at no request itself.

use super::super::model::{How, Operator, Selector, Target, Variable};
use super::super::operator::{self, OperatorError};
use super::names::Names;
use super::program::{Take, TargetList, Which};

/// The target lists of a set; the same list written twice is one.
#[derive(Debug, Default)]
pub struct Lists {
    written: Vec<Vec<Target>>,
    pub lists: Vec<TargetList>,
}

impl Lists {
    /// The number of the list of these targets.
    ///
    /// # Errors
    ///
    /// A selector's pattern that cannot be taken.
    pub fn intern(&mut self, targets: &[Target], names: &mut Names) -> Result<usize, OperatorError> {
        if let Some(known) = self.written.iter().position(|written| written == targets) {
            return Ok(known);
        }
        let list = list(targets, names)?;
        self.written.push(targets.to_vec());
        self.lists.push(list);
        Ok(self.lists.len() - 1)
    }
}

fn list(targets: &[Target], names: &mut Names) -> Result<TargetList, OperatorError> {
    let (mut takes, mut leaves) = (Vec::new(), Vec::new());
    for target in targets {
        let take = take(target, names)?;
        match target.how {
            How::Excluded => leaves.push(take),
            How::Values | How::Count => takes.push(take),
        }
    }
    let settled = |take: &Take| !is_judged(take.variable) && !matches!(take.which, Which::Made(_));
    let fixed = takes.iter().chain(&leaves).all(settled);
    Ok(TargetList { takes: takes.into(), leaves: leaves.into(), fixed })
}

/// A target as it is looked up.
///
/// # Errors
///
/// A selector's pattern that cannot be taken.
pub fn take(target: &Target, names: &mut Names) -> Result<Take, OperatorError> {
    let which = match &target.selector {
        Selector::All => Which::All,
        Selector::Pattern(pattern) => {
            let pattern = Operator::Rx(format!("(?i){pattern}").into());
            Which::Pattern(Box::new(operator::compile(&pattern)?))
        }
        Selector::Name(name) => match (target.variable, name.as_literal()) {
            (Variable::Tx, Some(name)) => Which::Slot(names.slot(name.as_bytes())),
            (Variable::Json, Some(path)) => Which::Path(path.into()),
            (_, Some(name)) => Which::Name(name.to_ascii_lowercase().into_bytes().into()),
            (_, None) => Which::Made(names.template(name)),
        },
    };
    Ok(Take { variable: target.variable, count: target.how == How::Count, which })
}

/// Whether a variable comes from the judging and not from the request.
pub fn is_judged(variable: Variable) -> bool {
    matches!(
        variable,
        Variable::Tx
            | Variable::MatchedVar
            | Variable::MatchedVarName
            | Variable::MatchedVars
            | Variable::MatchedVarsNames
            | Variable::Rule
            | Variable::Duration
            | Variable::TimeEpoch
    )
}
