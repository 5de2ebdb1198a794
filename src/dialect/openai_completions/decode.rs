//! A completion request as [`Turn`]s, one for each choice.

use super::encode::CompletionReply;
use crate::{
    dialect::{
        Request, Stamp, choices, common,
        field::{self, Field},
        limits, parameters,
    },
    turn::{Message, OutputRules, Role, Turn, TurnError},
};

/// Reads a request body.
pub fn request(body: &[u8], stamp: &Stamp) -> Result<Request, TurnError> {
    let value = field::parse(body)?;
    let body = Field::root(&value);
    let ignored = parameters::ignored(&body, super::PARAMETERS)?;
    let base = Turn {
        output: OutputRules {
            stop: limits::stop(&body, "stop")?,
            max_tokens: limits::max_tokens(&body, &["max_tokens"])?,
            ..OutputRules::default()
        },
        ..common::turn(&body)?
    };
    let n = choices::count(&body, "n")?;
    let prompts = prompts(&body, n)?;
    // The choices of one prompt stand together, as OpenAI orders them.
    let mut turns = prompts.iter().flat_map(|prompt| {
        let turn = Turn {
            messages: vec![Message::text(Role::User, *prompt)],
            ..base.clone()
        };
        std::iter::repeat_n(turn, n)
    });
    let reply = CompletionReply::new(stamp, &base.model, common::include_usage(&body)?);
    Ok(Request {
        turn: turns.next().unwrap_or_default(),
        others: turns.collect(),
        stream: common::stream(&body)?,
        ignored,
        reply: Box::new(reply),
    })
}

/// The prompts, at least one.
fn prompts<'a>(body: &Field<'a>, n: usize) -> Result<Vec<&'a str>, TurnError> {
    let field = body.require("prompt")?;
    if field.value.is_string() {
        return Ok(vec![field.str()?]);
    }
    let prompts = field
        .items()?
        .map(|item| {
            if item.value.is_string() {
                item.str()
            } else {
                Err(item.fail("must be text: tokens mean nothing to Cursor's CLI"))
            }
        })
        .collect::<Result<Vec<_>, _>>()?;
    if prompts.is_empty() || prompts.len() * n > choices::MAX {
        return Err(field.fail(format_args!(
            "must hold 1 to {} texts, counted `n` times: each answer is a run of the agent",
            choices::MAX
        )));
    }
    Ok(prompts)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(body: &Value) -> Result<Request, TurnError> {
        let stamp = Stamp {
            id: "1".to_owned(),
            created: 1,
            owner: None,
        };
        request(body.to_string().as_bytes(), &stamp)
    }

    #[test]
    fn prompts_and_choices() {
        for (body, wanted) in [
            (json!({"prompt": "a"}), vec!["a"]),
            (json!({"prompt": ["a"]}), vec!["a"]),
            (
                json!({"prompt": ["a", "b"], "n": 2}),
                vec!["a", "a", "b", "b"],
            ),
        ] {
            let request = read(&body).unwrap();
            let turns = std::iter::once(&request.turn).chain(&request.others);
            let asked: Vec<Vec<Message>> = turns.map(|turn| turn.messages.clone()).collect();
            let wanted: Vec<Vec<Message>> = wanted
                .into_iter()
                .map(|text| vec![Message::text(Role::User, text)])
                .collect();
            assert_eq!(asked, wanted, "{body}");
        }
    }

    #[test]
    fn faults_are_named_by_path() {
        for (body, path) in [
            (json!({}), "prompt"),
            (json!({"prompt": []}), "prompt"),
            (json!({"prompt": 3}), "prompt"),
            (json!({"prompt": [1, 2]}), "prompt[0]"),
            (json!({"prompt": ["a", "b", "c"], "n": 2}), "prompt"),
            (json!({"prompt": "a", "n": 9}), "n"),
            (json!({"prompt": "a", "echo": true}), "echo"),
            (json!({"prompt": "a", "suffix": "b"}), "suffix"),
            (json!({"prompt": "a", "logprobs": 2}), "logprobs"),
        ] {
            let Err(error) = read(&body) else {
                panic!("accepted: {body}");
            };
            assert_eq!(error.param.as_deref(), Some(path), "{body}");
        }
    }
}
