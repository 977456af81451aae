// Where the page is: "#/" the projects, "#/project/<id>" the editor. The hash needs nothing from the server.

import { useSyncExternalStore } from "react";

export type Route = { page: "home" } | { page: "project"; id: string };

export function parseRoute(hash: string): Route {
  const id = hash.match(/^#\/project\/([0-9a-f]{16})$/)?.[1];
  return id ? { page: "project", id } : { page: "home" };
}

export function go(route: Route): void {
  location.hash = route.page === "project" ? `#/project/${route.id}` : "#/";
}

export function useRoute(): Route {
  const hash = useSyncExternalStore(subscribe, () => location.hash);
  return parseRoute(hash);
}

function subscribe(listener: () => void) {
  window.addEventListener("hashchange", listener);
  return () => window.removeEventListener("hashchange", listener);
}
