// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"regexp"
	"testing"
)

func TestVersion(t *testing.T) {
	got := invoke("", "version")
	want := regexp.MustCompile(`^gizmo unknown linux/[a-z0-9]+ go1\.\S+ \(development build\)\n$`)
	if got.code != 0 || got.err != "" || !want.MatchString(got.out) {
		t.Errorf("%+v", got)
	}
}

func TestDescribeBuild(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ release, time, want string }{
		{"", "", "development build"},
		{"", "soon", "development build"},
		{"", "1700000000", "development build, source of 2023-11-14T22:13:20Z"},
		{"true", "1700000000", "release build, source of 2023-11-14T22:13:20Z"},
		{"true", "", "release build"},
	} {
		if got := describeBuild(test.release, test.time); got != test.want {
			t.Errorf("%q, %q: got %q, want %q", test.release, test.time, got, test.want)
		}
	}
}
