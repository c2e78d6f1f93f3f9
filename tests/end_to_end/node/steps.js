// Single calls of the Node SDK through a proxy: `node steps.js STEP KEY [STEP KEY ...]`, set
// up by environment variables as session.js is. Prints how each ended as JSON, by key.
'use strict';

const COS = require('cos-nodejs-sdk-v5');
const fs = require('fs');
const path = require('path');

const { COS_BUCKET: Bucket, COS_REGION: Region, COS_FOLDER: folder } = process.env;
const MIB = 1024 * 1024;

function client(options) {
  return new COS({
    SecretId: process.env.COS_SECRET_ID,
    SecretKey: process.env.COS_SECRET_KEY,
    Proxy: process.env.COS_PROXY,
    ...options,
  });
}

const STEPS = {
  put: (Key) => client().putObject({ Bucket, Region, Key, Body: '[Object Content]' }),
  // Clocks that are an hour slow or fast.
  slow: (Key) =>
    client({ SystemClockOffset: -3600 * 1000 }).putObject({
      Bucket, Region, Key, Body: '[Object Content]',
    }),
  fast: (Key) =>
    client({ SystemClockOffset: 3600 * 1000 }).putObject({
      Bucket, Region, Key, Body: '[Object Content]',
    }),
  slice: (Key) => {
    const FilePath = path.join(folder, 'sliced.bin');
    fs.writeFileSync(FilePath, Buffer.alloc(6 * MIB + 777, 'abcdefg'));
    return client({ FileParallelLimit: 3, ChunkParallelLimit: 3 }).sliceUploadFile({
      Bucket, Region, Key, FilePath, SliceSize: MIB, ChunkSize: MIB,
    });
  },
  // The user cancels once half of it was handed over.
  cancel: (Key) =>
    new Promise((resolve, reject) => {
      const cos = client();
      let task;
      const end = () => resolve({ statusCode: 'cancelled' });
      cos.on('update', () => {});
      cos.uploadFile({
        Bucket, Region, Key, SliceSize: 64 * MIB,
        FilePath: (() => {
          const FilePath = path.join(folder, 'cancelled.bin');
          fs.writeFileSync(FilePath, Buffer.alloc(3 * MIB, 'abcdefg'));
          return FilePath;
        })(),
        onTaskReady: (id) => { task = id; },
        onProgress: ({ loaded }) => {
          if (loaded > 0 && task) {
            cos.cancelTask(task);
            task = null;
            setImmediate(end);
          }
        },
      }, (error) => (task ? reject(error || new Error('it ended')) : end()));
    }),
  download: (Key) =>
    client().downloadFile({
      Bucket, Region, Key, FilePath: path.join(folder, 'downloaded.bin'),
      ChunkSize: MIB, ParallelLimit: 3,
    }),
};

async function main() {
  const ends = {};
  const given = process.argv.slice(2);
  for (let at = 0; at < given.length; at += 2) {
    const [step, key] = given.slice(at, at + 2);
    try {
      ends[key] = (await STEPS[step](key)).statusCode;
    } catch (error) {
      ends[key] = error.code || String(error);
    }
  }
  process.stdout.write(JSON.stringify(ends));
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
