"""NiiVue, the script by which ``relaxnet view`` shows maps in the browser: a file, and no code of Python."""
