import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';
import { contentSecurityPolicy } from './hosting.ts';

export default defineConfig({
  plugins: [react()],
  server: { port: 5173, strictPort: true },
  preview: {
    port: 5173,
    strictPort: true,
    headers: { 'Content-Security-Policy': contentSecurityPolicy('http://localhost:* https:') },
  },
});
