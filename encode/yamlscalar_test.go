// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package encode

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestYAMLQuotes(t *testing.T) {
	t.Parallel()
	bare := []string{
		"a", "plain", "a b", "/etc/passwd", "-rw-r--r--", "-a", "?a", ":a", "::x", "a:b", "a#b", "O_RDONLY|O_CREAT", "192.168.0.1",
		"10.0.0.1:80x", "界面", "é", "e5", "\U0001f600", "1a", "1.2.3", "v1", "0x", "0xg", "0b", "+", "-.x", ".", ".a", ".hidden", "1e5x", "yesterday",
		"nullify", "2024-07", "x=y", "=a", "a,b", "a]", "1:x", "2024-07-25x", "SYS_READ", "[::1]"[1:], "it's", `say "hi"`, `a\b`,
	}
	quoted := []string{
		"", " ", " a", "a ", "-", "- a", "?", "? a", ":", ": a", "a:", "a: b", "a #b", "#a", "---", "--- a", "...", "&a", "*a", "!a", "|",
		">", "%a", "@a", "`a", "'a", `"a`, "{a", "}", "[a", "]", ",a", "y", "N", "yes", "No", "ON", "off", "true", "False", "null", "~",
		"=", "<<", "0", "-1", "+1", "1_000", "007", "0x1F", "-0x1f", "0o17", "0b1", "1.", ".5", "1.5", "1e5", "1.5E-3", ".inf", "-.INF",
		".NaN", "0_x1", "0x_1", "0b-1", "1_e_+5", "12:30", "12:30:45", "1:2.5", "2024-07-25", "2024-7-5", "2024-07-25T21:34:07Z", "2024-07-25 21:34", "\t", "a\nb", "\x1b",
		"\x7f", "\u0085", "\u2028", "\ufeff", "\xff", "a\x00", "a\u200bb", "\u00ad", "\ufe0f", "\U000e0041", "\U0001fffe",
	}
	for _, s := range bare {
		if got := string(quoteYAML([]byte(s), 0)); got != s {
			t.Errorf("%q is quoted: %s", s, got)
		}
		readsBack(t, s)
	}
	for _, s := range quoted {
		if got := string(quoteYAML([]byte(s), 0)); got == s {
			t.Errorf("%q is bare", s)
		}
		readsBack(t, s)
	}
}

// readsBack fails the test unless s as a scalar, in the places where one can stand, reads as s.
func readsBack(t *testing.T, s string) {
	t.Helper()
	scalar := string(quoteYAML([]byte(s), 0))
	want := string([]rune(s))
	var doc yaml.Node
	text := "---\nkey: " + scalar + "\nobject:\n  - " + scalar + "\n  - in: " + scalar + "\n"
	if len(s) < 100 { // keys have a greatest length
		text += scalar + ": 1\n"
	}
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatalf("%q: %v\n%s", s, err, text)
	}
	root := doc.Content[0]
	found := []*yaml.Node{root.Content[1], root.Content[3].Content[0], root.Content[3].Content[1].Content[1]}
	if len(root.Content) > 4 {
		found = append(found, root.Content[4])
	}
	for _, n := range found {
		if n.ShortTag() != "!!str" || n.Value != want {
			t.Fatalf("%q reads back as %s %q", s, n.ShortTag(), n.Value)
		}
	}
}

func FuzzYAMLScalar(f *testing.F) {
	for _, s := range strings.Split("|a|- a|a: b|a #|1:30|2024-1-1|0x_|.5_|1__e9|-.5e-1_|?|!|\x85|\ufeff|=|'|\"|\\|\t", "|") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { readsBack(t, s) })
}
