// Whistle as a proxy on loopback. COS_ORIGIN: the port that every request is led to;
// COS_FOLDER: where it keeps what it keeps. Prints its port, and ends with its input.
const net = require("net");
const start = require("whistle");

const probe = net.createServer().listen(0, "127.0.0.1", () => {
  const { port } = probe.address();
  probe.close(() => {
    start({
      port,
      host: "127.0.0.1",
      baseDir: process.env.COS_FOLDER,
      storage: "tests",
      shadowRules: `/^http:\\/\\/(?!local\\.)/ host://127.0.0.1:${process.env.COS_ORIGIN}`,
    }, () => console.log(`ready ${port}`));
  });
});
process.stdin.on("end", () => process.exit(0)).resume();
