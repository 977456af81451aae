import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// One file of scripts: a dozen small ones took longer to come than this one.
// The built page lies beside the server's code, where the wheel takes it from. No inline scripts or styles: the server
// sends a content security policy that allows none.
export default defineConfig({
  plugins: [react()],
  base: "/",
  build: {
    outDir: "../static",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 800,
    modulePreload: { polyfill: false },
  },
  // The server takes requests only from pages of the host that they are sent to: the proxy leaves its name as it is.
  server: { proxy: { "/api": { target: "http://127.0.0.1:7860", changeOrigin: false } } },
  test: {
    include: ["tests/**/*.test.{ts,tsx}"],
    environment: "jsdom",
    // The colours are read by a test; other styles mean nothing without a browser.
    css: { include: /tokens\.css/ },
  },
});
