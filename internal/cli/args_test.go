// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"strings"
	"testing"
	"time"
)

// The gadget is to be found among flags that are not known before it is.
func TestFirstArgument(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"", ""},
		{"G", "G"},
		{"G --pid 5", "G"},
		{"G other", "G"},
		{"-", "-"},
		{"-- G", "G"},
		{"-- -G", "-G"},
		{"--", ""},
		{"-o json", ""},
		{"-o json G", "G"},
		{"-ojson G", "G"},
		{"-o=json G", "G"},
		{"-ot G", "G"}, // an output mode called t
		{"-o", ""},
		{"--output json G", "G"},
		{"--output=json G", "G"},
		{"--output= G", "G"},
		{"--output --help G", "G"}, // an output mode called --help
		{"-t 1 G", "G"},
		{"-t1 G", "G"},
		{"-t 1m30s -o json G", "G"},
		{"-v G", "G"},
		{"--verbose G", "G"},
		{"--verbose=false G", "G"},
		{"-vo json G", "G"},
		{"-vt 1 G", "G"},
		{"-vh G", "G"},
		{"-ov G", "G"}, // an output mode called v
		{"-h G", "G"},
		{"--help G", "G"},
		{"--host G", "G"},
		{"--host=false G", "G"},
		{"--fail-on-loss G", "G"},
		{"--timeout 1 --record file --fields a,b --annotate x:y=z --buffer-size 1 G", "G"},
		{"--unknown G", "G"},
		{"--unknown=1 G", "G"},
		{"--unknown 1 G", "1"}, // cannot be known; see misplacedFlag
		{"-z G", "G"},
		{"-é G", "G"},
	} {
		cmd := (&app{}).rootCommand()
		run, _, err := cmd.Find([]string{"run"})
		if err != nil {
			t.Fatal(err)
		}
		run.InitDefaultHelpFlag()
		got, ok := firstArgument(run, strings.Fields(c.args))
		if got != c.want || ok != (c.want != "") {
			t.Errorf("%q: got %q, %v; want %q", c.args, got, ok, c.want)
		}
	}
}

func TestSeconds(t *testing.T) {
	for _, c := range []struct {
		text string
		want time.Duration
	}{
		{"0", 0},
		{"1", time.Second},
		{"0.25", 250 * time.Millisecond},
		{"1e3", 1000 * time.Second},
		{"3600", time.Hour},
		{"1s", time.Second},
		{"1m30s", 90 * time.Second},
		{"150ms", 150 * time.Millisecond},
		{"2h", 2 * time.Hour},
	} {
		var s seconds
		if err := s.Set(c.text); err != nil || time.Duration(s) != c.want {
			t.Errorf("%q: %v, %v; want %v", c.text, time.Duration(s), err, c.want)
		}
		if s.String() != c.want.String() {
			t.Errorf("%q: prints %s", c.text, &s)
		}
	}
}

func TestSecondsRejects(t *testing.T) {
	for _, text := range []string{"", "x", "1x", "-1", "-1s", "NaN", "Inf", "-Inf", "1e300", "1 s", "1,5"} {
		s := seconds(time.Minute)
		if err := s.Set(text); err == nil || !strings.Contains(err.Error(), "want a number of seconds or a duration like 1m30s, got \""+text+"\"") {
			t.Errorf("%q: %v", text, err)
		}
		if time.Duration(s) != time.Minute {
			t.Errorf("%q: changed the value to %v", text, &s)
		}
	}
}
