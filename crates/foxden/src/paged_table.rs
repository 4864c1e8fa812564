//! A table that is printed page by page, since it may be too long to be held.

use comfy_table::{ColumnConstraint, Table, Width};

use crate::output;

/// One header above all pages. Columns are as wide as the widest cell so far: those of a later page may be wider.
pub(crate) struct PagedTable<const N: usize> {
    header: [&'static str; N],
    widths: Option<[u16; N]>,
}

impl<const N: usize> PagedTable<N> {
    pub(crate) const fn new(header: [&'static str; N]) -> Self {
        Self { header, widths: None }
    }

    /// Whether nothing was printed yet.
    pub(crate) const fn is_empty(&self) -> bool {
        self.widths.is_none()
    }

    /// Prints the next rows.
    pub(crate) fn say(&mut self, rows: impl Iterator<Item = [String; N]>) {
        if let Some(page) = self.page(rows) {
            output::say(page);
        }
    }

    fn page(&mut self, rows: impl Iterator<Item = [String; N]>) -> Option<Table> {
        let mut table = if self.is_empty() { output::table(self.header) } else { output::rows() };
        table.add_rows(rows);
        if table.row_count() == 0 {
            return None;
        }
        let mut widths = self.widths.unwrap_or([0; N]);
        for (width, here) in widths.iter_mut().zip(table.column_max_content_widths()) {
            *width = here.max(*width);
        }
        for (column, width) in table.column_iter_mut().zip(widths) {
            let padding = column.padding_width();
            column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(width.saturating_add(padding))));
        }
        self.widths = Some(widths);
        Some(table)
    }
}

#[cfg(test)]
mod tests {
    use super::PagedTable;

    fn lines(table: &mut PagedTable<2>, rows: &[[&str; 2]]) -> Vec<String> {
        let rows = rows.iter().map(|row| row.map(str::to_owned));
        let page = table.page(rows).map(|page| page.to_string()).unwrap_or_default();
        page.lines().map(|line| line.trim_end().to_owned()).collect()
    }

    #[test]
    fn pages_have_one_header_and_columns_that_only_grow() {
        let mut table = PagedTable::new(["signup", "state"]);
        assert_eq!(lines(&mut table, &[]), Vec::<String>::new());
        assert!(table.is_empty());
        let first = lines(&mut table, &[["acct_000001", "due"], ["a", "parked"]]);
        assert_eq!(first.len(), 4, "{first:?}");
        assert_eq!(first[2..], ["  acct_000001   due", "  a             parked"]);
        assert_eq!(lines(&mut table, &[["b", "due"]]), ["  b             due"]);
        assert_eq!(
            lines(&mut table, &[["acct_000001_two", "due"], ["c", "due"]]),
            ["  acct_000001_two   due", "  c                 due"]
        );
    }
}
