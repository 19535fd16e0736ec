// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package modules

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	mit = "Permission is hereby granted, free of charge, to any person obtaining a\ncopy of this software and associated " +
		"documentation files (the \"Software\"), to deal\nin the Software without restriction, including … The above copyright notice " +
		"and this permission notice shall be included in\n// all copies or substantial portions of the Software.\n"
	bsd2 = "Redistribution and use in source and binary forms, with or without modification, are permitted provided that the " +
		"following conditions are met:\n * Redistributions in binary form must reproduce the above copyright notice\n"
	bsd3   = bsd2 + "Neither the name of X nor the names of its contributors may be used to endorse or promote products derived from this.\n"
	apache = "Apache License\nVersion 2.0, January 2004\n … Unless required by applicable law or\nagreed to in writing, …"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		mit:          "MIT",
		bsd2:         "BSD-2-Clause",
		bsd3:         "BSD-3-Clause",
		apache:       "Apache-2.0",
		mit + apache: "Apache-2.0 MIT",
		bsd3 + "All advertising materials mentioning features":                                                   "",
		"The Software shall be used for Good, not Evil. " + mit:                                                  "MIT JSON",
		"“Commons Clause” License Condition v1.0\n" + apache:                                                     "Apache-2.0 Commons-Clause",
		"Mozilla Public License Version 2.0 … Covered Software … GNU Affero General Public License, Version 3.0": "MPL-2.0",
		"GNU AFFERO GENERAL PUBLIC LICENSE\n Version 3, 19 November 2007":                                        "AGPL",
		"GNU GENERAL PUBLIC LICENSE … Everyone is permitted to copy and distribute verbatim copies":              "GPL",
		"All rights reserved.": "",
		"":                     "",
	} {
		if got := strings.Join(classify(text), " "); got != want {
			t.Errorf("got %q, want %q for:\n%s", got, want, text)
		}
	}
}

// module makes a folder with the given files.
func module(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestCheckLicenses(t *testing.T) {
	t.Parallel()
	all := []Module{
		{Path: "good", Version: "v1", Dir: module(t, map[string]string{"LICENSE": mit, "LICENSE-MORE": bsd3, "license.go": "package x"})},
		{Path: "other", Version: "v1", Dir: module(t, map[string]string{"copying.txt": bsd2, "README": "All rights reserved."})},
		{Path: "docs", Version: "v1", Dir: module(t, map[string]string{"LICENSE": apache, "LICENSE.docs": "Attribution-ShareAlike 4.0"})},
		{Path: "bare", Version: "v2", Dir: module(t, map[string]string{"README": mit, "LICENSE.docs": mit})},
		{Path: "unknown", Version: "v3", Dir: module(t, map[string]string{"LICENSE": mit, "LICENCE.md": "All rights reserved."})},
		{Path: "strict", Version: "v4", Dir: module(t, map[string]string{"COPYING": "GNU AFFERO GENERAL PUBLIC LICENSE Version 3"})},
		{Path: "gone", Version: "v5", Dir: filepath.Join(t.TempDir(), "none")},
	}
	got := CheckLicenses(all, Allowed())
	want := []string{
		"bare v2: there is no file with a license",
		"unknown v3: LICENCE.md holds no license that is known here",
		"strict v4 has the license AGPL; allowed are Apache-2.0, ",
		"gone v5: ",
	}
	if len(got) != len(want) {
		t.Fatalf("got %q", got)
	}
	for i, w := range want {
		if !strings.HasPrefix(got[i], w) {
			t.Errorf("got %q, want %q", got[i], w)
		}
	}
}

// The modules of gizmo and of its tools are found, and each has a license that is known.
func TestCompiled(t *testing.T) {
	t.Parallel()
	for dir, want := range map[string]string{"../..": "github.com/cilium/ebpf", "..": "honnef.co/go/tools"} {
		all, err := Compiled(dir)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(all, func(m Module) bool { return m.Path == want && m.Version != "" && m.Dir != "" }) {
			t.Errorf("%s: %s is not among %v", dir, want, all)
		}
		if slices.ContainsFunc(all, func(m Module) bool { return m.Main }) {
			t.Errorf("%s: the module itself is among them", dir)
		}
	}
}

func TestNamed(t *testing.T) {
	t.Parallel()
	got, err := Named("../..", "github.com/cilium/ebpf")
	if err != nil {
		t.Fatal(err)
	}
	if m := got["github.com/cilium/ebpf"]; len(got) != 1 || m.Version == "" || m.Dir == "" {
		t.Errorf("got %v", got)
	}
	if _, err := Named("../..", "example.com/none"); err == nil {
		t.Error("a module that is not there was found")
	}
}
