import "./Home.css";
import { useCallback, useEffect, useRef, useState } from "react";
import { api, errorText } from "../api/client";
import type { Example, Project, ProjectSummary, Worker } from "../api/types";
import { onServerChange, reconnect } from "../shell/live";
import { go } from "../shell/route";
import { themeEntries } from "../shell/TopBar";
import { usePreferences } from "../store/preferences";
import { server, useServer } from "../store/server";
import { Button, Icon, Mark, Menu, Spinner, toast, useShortcuts } from "../ui";
import { ExampleCard } from "./ExampleCard";
import { FileDrop } from "./FileDrop";
import { bytesText, PICTURE_TYPES, pastedPictures, sortFiles } from "./files";
import { ProjectCard } from "./ProjectCard";
import { TrashDialog } from "./TrashDialog";

/** Everything made so far, and ways to begin. */
export function Home({ onHelp }: { onHelp(): void }) {
  const [projects, setProjects] = useState<readonly ProjectSummary[] | null>(null);
  const [examples, setExamples] = useState<readonly Example[]>([]);
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const [trash, setTrash] = useState(false);
  const hasExamples = useRef(false);
  const picker = useRef<HTMLInputElement>(null);
  const camera = useRef<HTMLInputElement>(null);
  const theme = usePreferences((state) => state.theme);

  const load = useCallback(async () => {
    try {
      setProjects(await api.projects());
      setProblem(null);
      // They come with the program: once is enough.
      if (!hasExamples.current) setExamples(await api.examples());
      hasExamples.current = true;
    } catch (error) {
      setProblem(errorText(error));
    }
  }, []);
  useEffect(() => {
    document.title = "motionloom studio";
    void load();
    let timer: number | undefined;
    // Several things often happen at once.
    const stop = onServerChange(() => {
      window.clearTimeout(timer);
      timer = window.setTimeout(() => void load(), 250);
    });
    return () => {
      stop();
      window.clearTimeout(timer);
    };
  }, [load]);

  const open = async (making: Promise<Project>, fileName?: string) => {
    setBusy(true);
    try {
      const made = await making;
      go({ page: "project", id: made.id });
    } catch (error) {
      // The server names the field of the form; the person knows the file.
      const text = fileName ? errorText(error).replace(/^image: /, `“${fileName}”: `) : errorText(error);
      toast(text, { kind: "error", key: "open" });
      setBusy(false);
    }
  };
  const create = (files: Iterable<File>) => {
    const { pictures, others } = sortFiles(files);
    const image = pictures[0];
    if (!image) {
      toast(
        others.length
          ? `“${others[0]?.name}” is not a photograph. Begin with a PNG, JPEG, WebP, AVIF or TIFF; a motion file may come along with it.`
          : "Pick a photograph.",
        { kind: "warn" },
      );
      return;
    }
    const limit = server.getState().facts?.max_upload_bytes;
    if (limit && image.size > limit) {
      toast(
        `“${image.name}” has ${bytesText(image.size)}; the studio takes at most ${bytesText(limit)}. Save it smaller, for example as JPEG.`,
        {
          kind: "error",
        },
      );
      return;
    }
    void open(api.createProject(image, undefined, others[0]), image.name);
    if (pictures.length > 1) toast("One project is one photograph: the first one is taken.");
  };
  const pick = () => picker.current?.click();

  useEffect(() => {
    const paste = (event: ClipboardEvent) => {
      const pictures = pastedPictures(event.clipboardData);
      if (pictures.length) create(pictures);
    };
    window.addEventListener("paste", paste);
    return () => window.removeEventListener("paste", paste);
  });
  useShortcuts([{ keys: "n", label: "New project from a photograph", group: "Projects", run: pick }]);

  return (
    <div className="home">
      <header className="home-bar">
        <span className="home-name">
          <Mark /> motionloom studio
        </span>
        <Facts />
        <Menu
          label="More"
          icon="more"
          iconOnly
          entries={[
            { label: "Keyboard and help", icon: "keyboard", shortcut: "?", run: onHelp },
            { label: "Trash", icon: "trash", run: () => setTrash(true) },
            "line",
            ...themeEntries(theme),
          ]}
        />
      </header>
      <main className="home-main">
        {problem && (
          <div className="home-problem" role="alert">
            <Icon name="offline" />
            <p>{problem}</p>
            <Button
              icon="retry"
              onClick={() => {
                reconnect();
                void server.getState().load();
                void load();
              }}
            >
              Try again
            </Button>
          </div>
        )}
        <section className="home-start" aria-label="Begin">
          <div>
            <h1>Draw how a picture should move</h1>
            <p className="muted">
              Drop a photograph anywhere, paste one, or pick a file. Then draw paths on it and get the video.
            </p>
          </div>
          <div className="home-buttons">
            <Button
              size="large"
              icon="camera"
              className="home-camera"
              disabled={busy}
              onClick={() => camera.current?.click()}
            >
              Take a photo
            </Button>
            <Button variant="primary" size="large" icon="plus" busy={busy} onClick={pick}>
              New project
            </Button>
          </div>
          <input
            ref={camera}
            type="file"
            hidden
            accept="image/*"
            capture="environment"
            aria-label="Photo"
            onChange={(event) => {
              create(event.target.files ?? []);
              event.target.value = "";
            }}
          />
          <input
            ref={picker}
            type="file"
            hidden
            multiple
            accept={`${PICTURE_TYPES},.json,.pth,.npy,.npz,.yaml,.txt,.csv,.safetensors`}
            aria-label="Photograph"
            onChange={(event) => {
              create(event.target.files ?? []);
              event.target.value = "";
            }}
          />
        </section>

        {projects === null && !problem && (
          <div className="home-wait">
            <Spinner size={20} />
          </div>
        )}
        {projects && projects.length > 0 && (
          <section aria-labelledby="home-projects">
            <h2 id="home-projects">Projects</h2>
            <ul className="home-grid">
              {projects.map((project) => (
                <li key={project.id}>
                  <ProjectCard project={project} onChange={load} />
                </li>
              ))}
            </ul>
          </section>
        )}
        {examples.length > 0 && (
          <section aria-labelledby="home-examples">
            <h2 id="home-examples">Examples to start from</h2>
            <ul className="home-grid">
              {examples.map((example) => (
                <li key={example.name}>
                  <ExampleCard
                    example={example}
                    disabled={busy}
                    onStart={() => void open(api.startExample(example.name))}
                  />
                </li>
              ))}
            </ul>
          </section>
        )}
      </main>
      {trash && (
        <TrashDialog
          onClose={() => setTrash(false)}
          onChange={() => {
            void load();
            void server.getState().load();
          }}
        />
      )}
      <FileDrop
        onFiles={create}
        text="Drop to begin a project"
        hint="A photograph; a motion or track file may come along with it"
      />
    </div>
  );
}

function deviceText(worker: Worker): string {
  return worker.device === "auto" ? "this computer" : worker.device;
}

function Facts() {
  const facts = useServer((state) => state.facts);
  const workers = useServer((state) => state.workers);
  if (!facts) return <span className="home-facts" />;
  const alive = workers.filter((worker) => worker.alive);
  return (
    <span className="home-facts muted">
      {alive.length
        ? `Makes videos on ${alive.map(deviceText).join(", ")}`
        : "No worker: videos wait in the queue"}{" "}
      · {bytesText(facts.free_bytes)} free · {facts.version}
    </span>
  );
}
