//! What a tool's executor, which changes its workspace for real, may do besides.

use std::fs;

use open_cursor::sandbox::{fence::FenceMode, process::SpawnSpec};

use crate::harness::{Scene, execute, stdout};

#[tokio::test]
async fn an_executor_is_confined_to_its_places() {
    let scene = Scene::new(FenceMode::Require).await;
    scene.write("outside/old", "x");
    let ws = scene.path("ws").canonicalize().unwrap();
    let tmp = scene.slot.dirs().tmp();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for network in [true, false] {
        let spec = SpawnSpec {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), format!(
                "echo done > made; echo t > \"$TMPDIR/t\"; echo x > ../outside/old; chmod 777 ../outside/old
                 python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", {port})); print(\"connected\")'; pwd"
            ).into()],
            env: vec![("TMPDIR".into(), tmp.clone().into()), ("PATH".into(), "/usr/bin:/bin".into())],
            cwd: ws.clone(),
        };
        let output = execute(
            &scene
                .fence
                .confine(spec, &[ws.clone(), tmp.clone()], network),
        );
        let expected = match network {
            true => format!("connected\n{}", ws.display()),
            false => ws.display().to_string(),
        };
        assert_eq!(stdout(&output), expected, "{output:?}");
        assert_eq!(fs::read_to_string(ws.join("made")).unwrap(), "done\n");
        assert_eq!(fs::read_to_string(tmp.join("t")).unwrap(), "t\n");
        assert_eq!(fs::read_to_string(scene.path("outside/old")).unwrap(), "x");
        fs::remove_file(ws.join("made")).unwrap();
    }
}
