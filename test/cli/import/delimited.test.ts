import { describe, expect, test } from 'vitest';

import { utf8 } from '../../../src/base/bytes.js';
import { readDelimited, type DelimitedOptions } from '../../../src/cli/import/delimited.js';
import { chunked, collect, summary } from './items.js';

async function read(text: string, options: Partial<DelimitedOptions> = {}): Promise<string[]> {
  const input = chunked(utf8(text), 5);
  return summary(await collect(readDelimited(input, { delimiter: ',', noHeader: false, ...options })));
}

describe('CSV and TSV', () => {
  test('the header says where key and value are', async () => {
    expect(await read('id,Value,note, key\n1,v1,x,k1\n2,,x,k2\n')).toEqual(['2: k1=v1', '3: k2=']);
  });

  test('quoted fields hold delimiters and line feeds, and lines are counted on', async () => {
    expect(await read('key,value\n"a,1","x\ny"\n"b","say ""hi"""\n')).toEqual(['2: a,1=x\\ny', '4: b=say "hi"']);
  });

  test('lines end with LF or CRLF, whatever the first one does', async () => {
    expect(await read('key,value\na,b\r\nc,"d\r\n"\r\ne,f')).toEqual(['2: a=b', '3: c=d\\r\\n', '5: e=f']);
    expect(await read('key,value\r\na,b\nc,d\r\n')).toEqual(['2: a=b', '3: c=d']);
  });

  test('spaces around a field of CSV are its own', async () => {
    expect(await read('key,value\n a , b \n')).toEqual(['2:  a = b ']);
  });

  test('quotes are characters like any other in TSV', async () => {
    const text = 'key\tvalue\n"a"\tsay "hi"\nb\t"open\n\'c\'\t\\t""\n';
    expect(await read(text, { delimiter: '\t' })).toEqual(['2: "a"=say "hi"', '3: b="open', '4: \'c\'=\\\\t""']);
  });

  test('without a header the first two fields count', async () => {
    expect(await read('a\t1\nb\t2\n', { delimiter: '\t', noHeader: true })).toEqual(['1: a=1', '2: b=2']);
  });

  test('a header without the columns is refused at once', async () => {
    expect(await read('name,text\na,b\nc,d\n')).toEqual([
      '1: the header must name the columns key and value (or use --no-header)',
    ]);
  });

  test('lines that do not fit are named, the others are read', async () => {
    expect(await read('key,value\na\n,b\nc,d,e\nf,g\n')).toEqual([
      '2: 1 fields where 2 were expected',
      '3: the key is empty',
      '4: 3 fields where 2 were expected',
      '5: f=g',
    ]);
  });

  test.each([
    ['text after a closing quote', 'key,value\na,b\nc,"d"x\ne,f\ng,"h\n', /^3: Invalid Closing Quote/],
    ['a quote that is never closed', 'key,value\na,b\nc,"d\n', /^\d: Quote Not Closed/],
  ])('%s ends the reading after the lines before it', async (_name, text, reason) => {
    expect(await read(text)).toEqual(['2: a=b', expect.stringMatching(reason)]);
  });

  test('bytes are kept as they are', async () => {
    const bytes = Uint8Array.of(...utf8('key,value\n'), 0xfe, 0x2c, 0xff, 0x0a);
    const items = await collect(readDelimited(chunked(bytes, 100), { delimiter: ',', noHeader: false }));
    expect(summary(items)).toEqual(['2: \\xfe=\\xff']);
  });
});
