"""The server: `python -m llm_dialogue.server.app --port 8000`."""

import argparse

from llm_dialogue.models import Answer, Reading
from llm_dialogue.server.environment import DialogueEnvironment

from openenv.core.env_server.http_server import create_app

app = create_app(DialogueEnvironment, Answer, Reading, env_name="llm_dialogue", max_concurrent_envs=64)


def main() -> None:
    """Serve until stopped."""
    import uvicorn

    parser = argparse.ArgumentParser(description="Serve the dialogue as an OpenEnv environment.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    args = parser.parse_args()
    uvicorn.run(app, host=args.host, port=args.port)


if __name__ == "__main__":
    main()
