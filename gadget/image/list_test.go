// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
)

func list(kind event.Kind, size, count uint32) Param {
	return Param{Key: "p", field: event.Field{Kind: kind, Size: size * count, Count: count}}
}

func TestList(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		p           Param
		text, bytes string
		err         string
	}{
		{list(event.Uint, 2, 3), "53", "\x35\x00\x00\x00\x00\x00", ""},
		{list(event.Uint, 2, 3), "53,5353,65535", "\x35\x00\xe9\x14\xff\xff", ""},
		{list(event.Int, 1, 2), "-1,2", "\xff\x02", ""},
		{list(event.Uint, 2, 3), "1,2,3,4", "", `"1,2,3,4" has 4 numbers; at most 3 fit`},
		{list(event.Uint, 2, 3), "1,65536", "", `"65536" is not a number from 0 to 65535`},
		{list(event.Uint, 2, 3), "1,", "", `"" is not a number from 0 to 65535`},
		{list(event.Uint, 2, 3), "", "", `"" is not a number from 0 to 65535`},
		{list(event.Uint, 2, 3), "1, 2", "", `" 2" is not a number from 0 to 65535`},
		{list(event.Uint, 2, 3), "1,0", "", "a list cannot contain 0, which marks its unused places"},
	} {
		v, err := c.p.Parse(c.text)
		if c.err != "" {
			if want := `param "p": ` + c.err; err == nil || err.Error() != want {
				t.Errorf("%q: got %v, want %s", c.text, err, want)
			}
			continue
		}
		if err != nil || string(v) != c.bytes {
			t.Errorf("%q: got % x, %v", c.text, []byte(v), err)
			continue
		}
		if got := c.p.format(v); got != c.text {
			t.Errorf("%q became %q", c.text, got)
		}
	}
	p := list(event.Uint, 2, 3)
	if got := p.Type(); got != "list of uint16" {
		t.Errorf("the type is %q", got)
	}
}
