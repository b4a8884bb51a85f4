// A 32-bit MicroPython (WebAssembly) that runs snippets one after the other and counts what is alive after each.
// Arguments: the package's micropython.mjs; a folder, copied to /; stdin: JSON, [[name, code], ...]. Prints a JSON
// object {name: bytes}. It collects between the snippets only: that is all this port can.
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [library, folder] = process.argv.slice(2);
const { loadMicroPython } = await import(pathToFileURL(library));
const said = [];
const mp = await loadMicroPython({ heapsize: 24 << 20, stdout: (line) => said.push(line), linebuffer: true });

function copy(from, to) {
  for (const entry of fs.readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [path.join(from, entry.name), `${to}/${entry.name}`];
    if (entry.isDirectory()) {
      mp.FS.mkdir(target);
      copy(source, target);
    } else {
      mp.FS.writeFile(target, fs.readFileSync(source));
    }
  }
}

copy(folder, "");
const counts = {};
try {
  for (const [name, code] of JSON.parse(fs.readFileSync(0, "utf8"))) {
    mp.runPython(code);
    mp.runPython("gc.collect()");
    said.length = 0;
    mp.runPython("print(gc.mem_alloc())");
    counts[name] = Number(said[0]);
  }
  said.length = 0;
  mp.runPython("import micropython; micropython.qstr_info()");
  counts.names = Number(/n_qstr=(\d+)/.exec(said.join(" "))[1]);
} catch (error) {
  console.error(said.join("\n") + "\n" + error);
  process.exit(1);
}
console.log(JSON.stringify(counts));
