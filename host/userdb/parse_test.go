// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package userdb

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
)

func TestParse(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("m,", maxHead)
	for _, tt := range []struct {
		name, text string
		want       map[uint32]string
	}{
		{"empty", "", nil},
		{"passwd", passwd, map[uint32]string{0: "root", 1000: "alice"}},
		{"group", "wheel:x:10:alice,bob\nnone:x:11:\n", map[uint32]string{10: "wheel", 11: "none"}},
		{"no newline at the end", "a:x:1:", map[uint32]string{1: "a"}},
		{"carriage return", "a:x:1:\r\n", map[uint32]string{1: "a"}},
		{"first name counts", "a:x:1:\nb:x:1:\n", map[uint32]string{1: "a"}},
		{"comment", "#a:x:1:\n", nil},
		{"compat lines", "+\n+::::::\n-bob::::::\n", nil},
		{"no name", ":x:1:\n", nil},
		{"few fields", "a\nb:x\nc:x:1\n", nil},
		{"no number", "a:x:one:\nb:x::\nc:x:-1:\nd:x: 1:\ne:x:4294967296:\n", nil},
		{"greatest number", "a:x:4294967295:\n", map[uint32]string{4294967295: "a"}},
		{"many members", "a:x:1:" + long + "\nb:x:2:\n", map[uint32]string{1: "a", 2: "b"}},
		{"number cut off", "a:" + strings.Repeat("x", maxHead-4) + ":123:\nb:x:2:\n", map[uint32]string{2: "b"}},
		{"longest name", strings.Repeat("n", maxName) + ":x:1:\n", map[uint32]string{1: strings.Repeat("n", maxName)}},
		{"too long a name", strings.Repeat("n", maxName+1) + ":x:1:\n", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := parse(strings.NewReader(tt.text))
			if err != nil || !maps.Equal(got, tt.want) {
				t.Errorf("got %v, %v, want %v", got, err, tt.want)
			}
		})
	}
}

func TestParseIsBounded(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range maxNames + 10 {
		fmt.Fprintf(&b, "u%d:x:%d:\n", i, i)
	}
	names, err := parse(strings.NewReader(b.String()))
	if err != nil || len(names) != maxNames {
		t.Errorf("%d names, %v, want %d", len(names), err, maxNames)
	}
	endless := &countingReader{}
	if names, err := parse(endless); err != nil || len(names) != 0 {
		t.Errorf("%d names, %v", len(names), err)
	}
	if endless.n > maxFile+maxHead {
		t.Errorf("read %d bytes", endless.n)
	}
}

// countingReader is a file of one endless line.
type countingReader struct{ n int }

func (r *countingReader) Read(p []byte) (int, error) {
	r.n += len(p)
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func TestParseReportsErrors(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken disk")
	if _, err := parse(io.MultiReader(strings.NewReader(passwd), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
}

// FuzzParse compares with the plainest parser that could be written.
func FuzzParse(f *testing.F) {
	f.Add(passwd)
	f.Add("a:x:1:\nb:x:1:\n\n:::\n#c:x:3:\n+::::\nd:x:4294967296:")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) >= maxHead {
			return // the plain parser has no limits
		}
		got, err := parse(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if want := plainParse(text); !maps.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

func plainParse(text string) map[uint32]string {
	names := map[uint32]string{}
	for line := range strings.SplitSeq(text, "\n") {
		parts := strings.Split(strings.TrimRight(line, "\r"), ":")
		if len(parts) < 4 || parts[0] == "" || parts[0][0] == '#' || len(parts[0]) > maxName {
			continue
		}
		id, err := strconv.ParseUint(parts[2], 10, 32)
		if _, taken := names[uint32(id)]; err == nil && !taken {
			names[uint32(id)] = parts[0]
		}
	}
	return names
}

func BenchmarkParse(b *testing.B) {
	text := strings.Repeat(passwd, 100)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := parse(strings.NewReader(text)); err != nil {
			b.Fatal(err)
		}
	}
}
