// unzip ZIP PREFIX FOLDER copies the files of a module archive directly below PREFIX to FOLDER. It is there because
// `go mod download` unpacks no module that asks for a newer Go than the one at hand, but always leaves its archive.
package main

import (
	"archive/zip"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
)

func main() {
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(archive, prefix, folder string) error {
	reader, err := zip.OpenReader(archive)
	if err != nil {
		return err
	}
	defer reader.Close()
	copied := 0
	for _, file := range reader.File {
		if path.Dir(file.Name) != prefix {
			continue
		}
		source, err := file.Open()
		if err != nil {
			return err
		}
		data, err := io.ReadAll(source)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, path.Base(file.Name)), data, 0o644); err != nil {
			return err
		}
		copied++
	}
	if copied == 0 {
		return fmt.Errorf("%s holds nothing below %s", archive, prefix)
	}
	return nil
}
