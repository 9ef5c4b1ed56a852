// As much of Rust's syntax as the checks need: what is comment or string, and where inline test modules stand.

/** Comments and the contents of strings become spaces; line breaks stay, so that positions still tell the line. */
export function withoutCommentsAndStrings(source) {
  const blank = (text) => text.replace(/[^\n]/g, " ");
  const token = /\/\/[^\n]*|\/\*[\s\S]*?\*\/|b?r(#*)"[\s\S]*?"\1|b?"(?:\\[\s\S]|[^"\\])*"|b?'(?:\\.[^']*|[^'\\])'/g;
  return source.replace(token, blank);
}

/** Where the bodies of inline test modules begin and end: `[[start, end]]`. */
export function testRanges(source) {
  const code = withoutCommentsAndStrings(source);
  const opening = /#\[cfg\((?:all\()?test\b[^\]]*\]\s*(?:pub(?:\([^)]*\))?\s+)?mod\s+\w+\s*\{/g;
  const ranges = [];
  for (let found = opening.exec(code); found; found = opening.exec(code)) {
    let depth = 0;
    let end = opening.lastIndex - 1;
    for (; end < code.length; end += 1) {
      if (code[end] === "{") depth += 1;
      if (code[end] === "}" && (depth -= 1) === 0) break;
    }
    ranges.push([found.index, end]);
    opening.lastIndex = end;
  }
  return ranges;
}

/** Code without comments, strings and inline test modules: tests may look wherever they like. */
export function productiveCode(source) {
  let code = withoutCommentsAndStrings(source);
  for (const [start, end] of testRanges(source)) {
    code = code.slice(0, start) + code.slice(start, end).replace(/[^\n]/g, " ") + code.slice(end);
  }
  return code;
}
