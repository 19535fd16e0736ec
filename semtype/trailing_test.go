// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package semtype

import (
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
)

// trailing returns a schema of a length, whose record ends there, and trailing data with the annotations' facts.
func trailing(content string, texts ...string) *event.Schema {
	s := layout(scalar("len", "__u32", event.Uint, 4))
	s.Fields = append(s.Fields, event.Field{Name: "data", Kind: event.Bytes, Rest: true, Off: 4, LenOff: 0, LenSize: 4,
		Parent: event.NoParent, Content: content, Texts: texts})
	return s
}

// Query and answer for an address, and where the texts are.
const (
	dnsQuery  = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x03org\x00\x00\x01\x00\x01"
	dnsAnswer = "\x12\x34\x81\x83\x00\x01\x00\x01\x00\x00\x00\x00\x01a\x03org\x00\x00\x1c\x00\x01" +
		"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x01\x02\x03\x04"
)

func TestTrailing(t *testing.T) {
	t.Parallel()
	s := trailing("dns", "cwd", "exepath")
	apply(t, s, testEnv(), annotations{})
	for _, c := range []struct {
		message, after string
		len            int
		want           string
	}{
		{dnsQuery, "", -1, "Q A a.org.    "},
		{dnsAnswer, "", -1, "R AAAA a.org. NameError 1.2.3.4  "},
		{dnsAnswer, "/root\x00/bin/dig\x00", -1, "R AAAA a.org. NameError 1.2.3.4 /root /bin/dig"},
		{dnsQuery, "\x00/bin/dig\x00", -1, "Q A a.org.    /bin/dig"},
		{dnsQuery, "/root", -1, "Q A a.org.   /root "},
		{dnsQuery, "/root\x00", -1, "Q A a.org.   /root "},
		{dnsQuery, "", 1 << 30, "Q A a.org.    "},
		{dnsQuery[:15], "", -1, "Q      "},
		{"", "", 0, "Q      "},
	} {
		if c.len < 0 {
			c.len = len(c.message)
		}
		rec := append(le(uint64(c.len), 4), c.message+c.after...)
		var got []string
		for _, name := range []string{"qr", "qtype", "name", "rcode", "addresses", "cwd", "exepath"} {
			got = append(got, text(t, s, name, rec))
		}
		if got := strings.Join(got, " "); got != c.want {
			t.Errorf("%q, %q, %d: got %q, want %q", c.message, c.after, c.len, got, c.want)
		}
	}
	if ann := field(t, s, "data").Ann; !ann.SkipJSON || !ann.Columns.Hidden {
		t.Errorf("the message itself is shown: %+v", ann)
	}
}

// Trailing data of other systems' objects stays what it is.
func TestTrailingWithoutMeaning(t *testing.T) {
	t.Parallel()
	s := trailing("")
	apply(t, s, testEnv(), annotations{})
	if f := field(t, s, "data"); len(s.Fields) != 2 || f.Ann.SkipJSON || f.Ann.Columns.Hidden {
		t.Errorf("got %+v", s.Fields)
	}
}

func TestTrailingAllocatesNothing(t *testing.T) {
	s := trailing("dns", "cwd", "exepath")
	apply(t, s, testEnv(), annotations{})
	b := &event.Batch{Schema: s, Rows: [][]byte{append(le(uint64(len(dnsAnswer)), 4), dnsAnswer+"/root\x00/bin/dig\x00"...)}}
	buf := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() {
		for i := range s.Fields {
			if text := s.Fields[i].Text; text != nil {
				buf = text(buf[:0], b, 0)
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
