// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"strings"
	"testing"
)

func TestParseFields(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Fields{
		"none":                 {},
		"cwd":                  {Cwd: MaxPath},
		"exepath":              {Exepath: MaxPath},
		"cwd,exepath":          {MaxPath, MaxPath},
		"exepath=100,cwd=2":    {2, 100},
		"cwd=512":              {Cwd: 512},
		"cwd,cwd=64":           {Cwd: 64},
		"exepath=0512,cwd=064": {64, 512},
	} {
		if got, err := ParseFields(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v, want %+v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"cdw":          `unknown field "cdw"`,
		"exepat=3":     `exepath`,
		"":             `unknown field ""`,
		"cwd,":         `unknown field ""`,
		"none,cwd":     `unknown field "none"`,
		"cwd=":         `cwd: size ""`,
		"cwd=1":        `cwd: size "1": want a number of bytes from 2 to 512`,
		"cwd=513":      `size "513"`,
		"exepath=-8":   `exepath: size "-8"`,
		"exepath=8 ":   `exepath: size "8 "`,
		"cwd=9x":       `size "9x"`,
		"cwd=99999999": `size`,
	} {
		if got, err := ParseFields(text); err == nil || !strings.Contains(err.Error(), want) || got != (Fields{}) {
			t.Errorf("%q: %+v, %v, want an error with %q", text, got, err, want)
		}
	}
}

func TestFieldsOnly(t *testing.T) {
	t.Parallel()
	all := Fields{Cwd: 10, Exepath: 20}
	for _, c := range []struct {
		names []string
		want  Fields
	}{
		{nil, Fields{}},
		{[]string{"pid_tgid", "cwd"}, Fields{Cwd: 10}},
		{[]string{"exepath", "task", "cwd"}, all},
	} {
		if got := all.only(c.names); got != c.want {
			t.Errorf("%q: %+v, want %+v", c.names, got, c.want)
		}
	}
	if got := (Fields{Cwd: 9, Exepath: 16}).rounded(); got != (Fields{16, 16}) {
		t.Errorf("rounded: %+v", got)
	}
	if !all.covers(Fields{Cwd: 10}) || all.covers(Fields{Cwd: 11}) || all.covers(Fields{Exepath: 21}) || !all.covers(all) {
		t.Error("covers")
	}
}
