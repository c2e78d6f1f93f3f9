// One session of the Node SDK through a proxy: `node session.js`, set up by
// environment variables. Prints what the calls answered as JSON.
'use strict';

const COS = require('cos-nodejs-sdk-v5');
const crypto = require('crypto');
const fs = require('fs');
const path = require('path');

const { COS_BUCKET: Bucket, COS_REGION: Region, COS_FOLDER: folder } = process.env;

function client(options) {
  return new COS({
    SecretId: process.env.COS_SECRET_ID,
    SecretKey: process.env.COS_SECRET_KEY,
    Proxy: process.env.COS_PROXY,
    AutoSwitchHost: false,
    ...options,
  });
}

function md5(data) {
  return crypto.createHash('md5').update(data).digest('hex');
}

async function main() {
  const cos = client();
  const small = Buffer.alloc(50000, '腾讯云 COS ');
  const large = Buffer.alloc(3 * 1024 * 1024 + 777, 'abcdefg');
  const file = path.join(folder, 'large.bin');
  fs.writeFileSync(file, large);
  const said = { version: COS.version, smallMd5: md5(small), largeMd5: md5(large) };

  await cos.putObject({ Bucket, Region, Key: 'node/buffer', Body: small });
  await cos.putObject({ Bucket, Region, Key: 'node/照片 +%.txt', Body: small, ContentType: 'text/plain' });
  await cos.putObject({ Bucket, Region, Key: 'node/empty', Body: '' });
  await cos.putObject({
    Bucket, Region, Key: 'node/stream', Body: fs.createReadStream(file), ContentLength: large.length,
  });
  await cos.putObject({ Bucket, Region, Key: 'node/unknown-length', Body: fs.createReadStream(file) });
  await client({ UploadCheckContentMd5: true }).putObject({ Bucket, Region, Key: 'node/md5', Body: small });
  await cos.putObject({
    Bucket, Region, Key: 'node/encrypted', Body: small, ServerSideEncryption: 'AES256',
  });
  await client({ Protocol: 'http:' }).putObject({ Bucket, Region, Key: 'node/http', Body: small });

  await cos.sliceUploadFile({ Bucket, Region, Key: 'node/sliced', FilePath: file });

  const got = await cos.getObject({ Bucket, Region, Key: 'node/照片 +%.txt' });
  said.got = md5(got.Body);
  const sliced = await cos.getObject({ Bucket, Region, Key: 'node/sliced' });
  said.sliced = md5(sliced.Body);
  await cos.getObject({ Bucket, Region, Key: 'node/buffer', Range: 'bytes=5-9' });
  const head = await cos.headObject({ Bucket, Region, Key: 'node/buffer' });
  said.head = head.headers['content-length'];
  // The SDK before 3.0 sends an empty Content-Type here by itself.
  await cos.headObject({ Bucket, Region, Key: 'node/md5', Headers: { 'Content-Type': '' } });
  const list = await cos.getBucket({ Bucket, Region, Prefix: 'node/' });
  said.listed = list.Contents.length;
  await cos.putObjectCopy({
    Bucket, Region, Key: 'node/copy', CopySource: `${Bucket}.cos.${Region}.myqcloud.com/node/buffer`,
  });
  await cos.deleteMultipleObject({ Bucket, Region, Objects: [{ Key: 'node/copy' }] });
  await cos.deleteObject({ Bucket, Region, Key: 'node/buffer' });
  process.stdout.write(JSON.stringify(said));
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
