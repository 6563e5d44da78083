// Serves the files of a folder with Node's own HTTP server, in chunks: node server.js PORT FOLDER
"use strict";
const fs = require("fs");
const http = require("http");
const path = require("path");

const [port, folder] = process.argv.slice(2);

http
  .createServer((request, response) => {
    const file = path.join(folder, path.basename(new URL(request.url, "http://a").pathname));
    const source = fs.createReadStream(file);
    source.on("error", () => {
      response.statusCode = 404;
      response.end();
    });
    // No content-length: Node then frames the body in chunks.
    source.on("open", () => source.pipe(response));
  })
  .listen(Number(port), "127.0.0.1");
