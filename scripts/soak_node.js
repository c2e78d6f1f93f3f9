// The Node SDK in the soak: reads calls as lines of JSON, and answers each with a line.
//   {"id": 1, "step": "small", "key": "…", "size": 1000}  ->  {"id": 1, "md5": "…"} or {"id": 1, "error": "…"}
'use strict';

const COS = require('cos-nodejs-sdk-v5');
const crypto = require('crypto');
const fs = require('fs');
const path = require('path');
const readline = require('readline');

const { COS_BUCKET: Bucket, COS_REGION: Region, COS_FOLDER: folder } = process.env;
const MIB = 1024 * 1024;

const cos = new COS({
  SecretId: process.env.COS_SECRET_ID,
  SecretKey: process.env.COS_SECRET_KEY,
  Proxy: process.env.COS_PROXY,
  AutoSwitchHost: false,
  ChunkParallelLimit: 3,
});

// As `content` in soak_truth.py.
function content(key, size) {
  const line = crypto.createHash('sha256').update(key).digest('hex');
  return Buffer.alloc(size, line);
}

async function downloaded(Key) {
  const { Body } = await cos.getObject({ Bucket, Region, Key });
  return crypto.createHash('md5').update(Body).digest('hex');
}

const STEPS = {
  async small(Key, size) {
    await cos.putObject({ Bucket, Region, Key, Body: content(Key, size) });
    await cos.headObject({ Bucket, Region, Key });
    const md5 = await downloaded(Key);
    await cos.deleteObject({ Bucket, Region, Key });
    return md5;
  },
  async sliced(Key, size) {
    const FilePath = path.join(folder, path.basename(Key));
    fs.writeFileSync(FilePath, content(Key, size));
    try {
      await cos.sliceUploadFile({ Bucket, Region, Key, FilePath, SliceSize: MIB, ChunkSize: MIB });
    } finally {
      fs.unlinkSync(FilePath);
    }
    return downloaded(Key);
  },
};

readline.createInterface({ input: process.stdin }).on('line', async (line) => {
  const { id, step, key, size } = JSON.parse(line);
  const said = { id };
  try {
    said.md5 = await STEPS[step](key, size);
  } catch (error) {
    said.error = String(error.code || error.message || error);
  }
  process.stdout.write(JSON.stringify(said) + '\n');
});
