//! OpenAI's legacy completions.

use serde_json::{Value, json as value};

use super::{Said, Wire, frames, json, string};

pub struct Completions;

impl Wire for Completions {
    fn name(&self) -> &'static str {
        "completions"
    }

    fn path(&self) -> &'static str {
        "/v1/completions"
    }

    /// Only what is one question, without tools.
    fn request(&self, chat: &Value) -> Option<Value> {
        let [message] = chat["messages"].as_array()?.as_slice() else {
            return None;
        };
        (message["role"] == "user" && chat.get("tools").is_none()).then(|| {
            value!({"model": chat["model"], "prompt": message["content"], "stream": chat["stream"]})
        })
    }

    fn stream(&self, body: &str) -> Said {
        let mut said = Said::default();
        let frames = frames(body);
        let (last, chunks) = frames.split_last().unwrap();
        assert_eq!(*last, (None, "[DONE]"));
        for (name, data) in chunks {
            assert_eq!(*name, None);
            let chunk = json(data);
            if chunk.get("error").is_some() {
                said.error = Some(self.error(&chunk));
                continue;
            }
            check(&chunk);
            let Some(choice) = chunk["choices"].get(0) else {
                assert!(chunk["usage"]["total_tokens"].is_u64(), "{chunk}");
                continue;
            };
            assert!(
                said.finish.is_empty(),
                "something follows the finish: {chunk}"
            );
            said.text += choice["text"].as_str().unwrap();
            said.finish = string(&choice["finish_reason"]);
        }
        assert!(said.error.is_some() == said.finish.is_empty(), "{body}");
        said
    }

    fn whole(&self, body: &Value) -> Said {
        check(body);
        let choice = &body["choices"][0];
        Said {
            text: string(&choice["text"]),
            finish: string(&choice["finish_reason"]),
            ..Said::default()
        }
    }

    fn error(&self, body: &Value) -> String {
        for key in ["message", "type", "param", "code"] {
            assert!(body["error"].get(key).is_some(), "{body} lacks {key}");
        }
        string(&body["error"]["message"])
    }
}

fn check(object: &Value) {
    assert_eq!(object["object"], "text_completion");
    assert!(object["id"].as_str().unwrap().starts_with("cmpl-"));
    for choice in object["choices"].as_array().unwrap() {
        assert!(choice["index"].is_u64() && choice.get("logprobs").is_some());
    }
}
