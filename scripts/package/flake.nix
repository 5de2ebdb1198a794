# nix run 'github:OWNER/REPOSITORY?dir=scripts/package' -- demo
{
  description = "Use a Cursor subscription from OpenCode and any OpenAI-compatible client";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs = { self, nixpkgs }:
    let
      systems = [ "x86_64-linux" "aarch64-linux" "x86_64-darwin" "aarch64-darwin" ];
      each = nixpkgs.lib.genAttrs systems;
      root = ../..;
      manifest = (builtins.fromTOML (builtins.readFile (root + "/Cargo.toml"))).package;
    in
    {
      packages = each (system:
        let pkgs = nixpkgs.legacyPackages.${system};
        in {
          default = pkgs.rustPlatform.buildRustPackage {
            pname = manifest.name;
            inherit (manifest) version;
            src = root;
            cargoLock.lockFile = root + "/Cargo.lock";
            # The tests start servers and fences, which a build's sandbox forbids.
            doCheck = false;
            nativeBuildInputs = [ pkgs.installShellFiles ];
            postInstall = ''
              $out/bin/open-cursor man man
              installManPage man/*
              for shell in bash zsh fish; do
                $out/bin/open-cursor completions $shell > open-cursor.$shell
              done
              installShellCompletion open-cursor.{bash,zsh,fish}
            '';
            meta = {
              inherit (manifest) description homepage;
              license = pkgs.lib.licenses.mit;
              mainProgram = manifest.name;
            };
          };
        });
    };
}
