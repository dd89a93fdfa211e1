"""What HTML pages show, and how it is drawn.

For all pages: `pages` (templates, escaping), `svg`, `settings`, `tiles`. For `html`, the page of a report: `verdict`,
`charts`, `class_view`, `embedded` (which pictures), `page_data` (what the script knows). Templates, style and script
are files of `page`.
"""
