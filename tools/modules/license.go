// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package modules

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// licenseFile matches the names of files that hold a license.
var licenseFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|unlicense)([-._].*)?$`)

// notLicenses are the extensions of files that match, but do not license code: Go code, and the license of documentation,
// which no program contains.
var notLicenses = []string{".go", ".docs"}

// File is a file that holds a license.
type File struct{ Name, Text string }

// LicenseFiles returns the files in a module's folder that hold a license, sorted by name. A folder
// without any is an error.
func LicenseFiles(dir string) ([]File, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var all []File
	for _, e := range entries {
		if e.IsDir() || !licenseFile.MatchString(e.Name()) || slices.Contains(notLicenses, filepath.Ext(e.Name())) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		all = append(all, File{e.Name(), string(text)})
	}
	if len(all) == 0 {
		return nil, errors.New("there is no file with a license")
	}
	return all, nil
}

// Licenses returns the SPDX identifiers of the licenses that the files in a module's folder hold,
// sorted. A file whose license is not known is an error.
func Licenses(dir string) ([]string, error) {
	files, err := LicenseFiles(dir)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, f := range files {
		ids := classify(f.Text)
		if len(ids) == 0 {
			return nil, fmt.Errorf("%s holds no license that is known here", f.Name)
		}
		all = append(all, ids...)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// phrases are sentences that identify a license, in the form that classify compares: in lower case, and only letters
// and digits, with one blank between words. A license has all of its phrases and none of those in not.
var phrases = []struct {
	id  string
	all []string
	not []string
}{
	{"Apache-2.0", []string{"apache license version 2 0", "unless required by applicable law or agreed to in writing"}, nil},
	{
		"MIT",
		[]string{
			"permission is hereby granted free of charge to any person obtaining a copy of this software",
			"to deal in the software without restriction",
			"the above copyright notice and this permission notice shall be included in all copies or substantial portions of the software",
		},
		nil,
	},
	{
		"BSD-3-Clause",
		[]string{bsdStart, bsdEndorse},
		[]string{bsdAdvertise},
	},
	{
		"BSD-2-Clause",
		[]string{bsdStart, "redistributions in binary form must reproduce the above copyright notice"},
		[]string{bsdEndorse, bsdAdvertise},
	},
	{
		"ISC",
		[]string{"permission to use copy modify and or distribute this software for any purpose with or without fee is hereby granted"},
		nil,
	},
	{"MPL-2.0", []string{"mozilla public license version 2 0", "covered software"}, nil},
	{"0BSD", []string{"zero clause bsd"}, nil},
	{"Unlicense", []string{"this is free and unencumbered software released into the public domain"}, nil},
	{"GPL", []string{"gnu general public license", "everyone is permitted to copy and distribute verbatim copies"}, nil},
	{"AGPL", []string{"gnu affero general public license version 3"}, []string{"covered software"}},
	{"LGPL", []string{"gnu lesser general public license", "everyone is permitted to copy and distribute verbatim copies"}, nil},
	{"BUSL", []string{"business source license"}, nil},
	{"SSPL", []string{"server side public license"}, nil},
	{"Commons-Clause", []string{"commons clause"}, nil},
	{"JSON", []string{"shall be used for good not evil"}, nil},
	{"CC-BY-NC", []string{"attribution noncommercial"}, nil},
}

const (
	bsdStart     = "redistribution and use in source and binary forms with or without modification are permitted provided that the following conditions are met"
	bsdEndorse   = "be used to endorse or promote products derived from"
	bsdAdvertise = "all advertising materials mentioning"
)

var notWords = regexp.MustCompile(`[^a-z0-9]+`)

// classify returns the identifiers of the licenses that a text holds, in the order of the table.
func classify(text string) []string {
	text = notWords.ReplaceAllString(strings.ToLower(text), " ")
	has := func(phrase string) bool { return strings.Contains(text, phrase) }
	var ids []string
	for _, l := range phrases {
		missing := slices.ContainsFunc(l.all, func(phrase string) bool { return !has(phrase) })
		if !missing && !slices.ContainsFunc(l.not, has) {
			ids = append(ids, l.id)
		}
	}
	return ids
}
